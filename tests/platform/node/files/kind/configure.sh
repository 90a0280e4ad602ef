# Makes a node of Debian's packages: what kind's own base image does to its packages, and what differs in Debian's.
set -eu

chmod 755 /usr/local/bin/* /kind /kind/bin /kind/bin/* /usr/bin/kubelet /usr/bin/kubeadm /usr/bin/kubectl

# Only what a node needs is started.
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
    /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
    /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests

# Debian has these elsewhere.
ln -s /usr/bin/containerd /usr/local/bin/containerd
mkdir -p /opt/cni
ln -s /usr/lib/cni /opt/cni/bin

# Every container gets the node's product name and id, as on kind's own nodes.
ctr oci spec | jq 'del(.process.rlimits) | .hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]' \
    >/etc/containerd/cri-base.json
# Where the machine's root lacks CAP_SYS_RESOURCE, a lower score than the node's own is refused.
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml
grep -q 'restrict_oom_score_adj = true' /etc/containerd/config.toml
# The image that this release of kubeadm asks for.
pause=$(kubeadm config images list --kubernetes-version "$(cat /kind/version)" | grep /pause:)
sed -i "s#sandbox_image = .*#sandbox_image = \"$pause\"#" /etc/containerd/config.toml
grep -q "$pause" /etc/containerd/config.toml
