# Copies the programs that kube-proxy calls, and all that they load, to a folder that can be an image.
set -eu
to=$1

# Debian's merged /usr, without which the loader is not found.
mkdir -p "$to/usr/bin" "$to/usr/sbin" "$to/usr/lib" "$to/usr/lib64" "$to/etc" "$to/run" "$to/tmp"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$to/$folder"; done

copy() { mkdir -p "$to$(dirname "$1")" && cp -L "$1" "$to$1"; }

programs='/usr/sbin/xtables-nft-multi /usr/sbin/conntrack /usr/sbin/nft'
modules=$(find /usr/lib -path '*/xtables/*.so')
for file in $programs $modules; do
    copy "$file"
    ldd "$file" | grep -o '/[^ ]*' | while read -r library; do copy "$library"; done
done
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$to/usr/sbin/$name"
done
