//! The three processes of a control plane: their files, ports and flags.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;

use super::access::{Credentials, Endpoint};
use super::{Binaries, Error};
use crate::certificates::Authority;
use crate::ports::{self, Port};
use crate::process::{Launch, Process};
use crate::{Scratch, unique};

const AUDIT_POLICY: &str = include_str!("../../platform/kubernetes/audit-policy.yaml");

/// A control plane is up after three seconds on an idle machine; this is for one that compiles meanwhile.
pub(super) const START_DEADLINE: Duration = Duration::from_mins(2);

/// The user that the built-in controllers act as; the audit policy leaves it out.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

/// Those that tests meet. Without nodes of the usual kind, those that watch over nodes would only evict pods.
const CONTROLLERS: [&str; 14] = [
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
];

/// Where the parts of a control plane are, and what they start with.
#[derive(Debug)]
pub(super) struct ControlPlane {
    binaries: &'static Binaries,
    pub(super) endpoint: Endpoint,
    pub(super) admin: Credentials,
    folder: Scratch,
    api_port: Port,
    etcd_port: Port,
    peer_port: Port,
}

impl ControlPlane {
    /// Makes certificates, tokens and whatever else the processes read.
    pub(super) fn lay_out(binaries: &'static Binaries) -> Result<Self, Error> {
        let folder = Scratch::new("kubernetes").map_err(Error::Files)?;
        let [api_port, etcd_port, peer_port] = ports::pick().map_err(Error::Ports)?;
        let path = |name: &str| folder.path().join(name);
        let authority = Authority::new("kubernetes")?;
        let server = authority.server()?;
        let service_accounts = authority.client("service-accounts")?;
        let (admin, controllers) = (unique("admin"), unique("controllers"));
        let tokens = format!(
            "{admin},admin,admin,system:masters\n{controllers},{CONTROLLER_MANAGER},controllers,system:masters\n"
        );
        let endpoint = Endpoint {
            server: format!("https://127.0.0.1:{}", api_port.number()),
            authority: path("ca.crt"),
        };
        for (name, content) in [
            ("ca.crt", &authority.certificate()),
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("service-accounts.crt", &service_accounts.certificate),
            ("service-accounts.key", &service_accounts.key),
            ("tokens.csv", &tokens),
            ("audit-policy.yaml", &AUDIT_POLICY.to_owned()),
        ] {
            fs::write(path(name), content).map_err(Error::Files)?;
        }
        let admin = Credentials::token(&admin);
        endpoint.write_kubeconfig(&path("admin.kubeconfig"), &admin)?;
        endpoint.write_kubeconfig(
            &path("controllers.kubeconfig"),
            &Credentials::token(&controllers),
        )?;
        Ok(Self {
            binaries,
            endpoint,
            admin,
            folder,
            api_port,
            etcd_port,
            peer_port,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn binaries(&self) -> &'static Binaries {
        self.binaries
    }

    /// The kubeconfig of the one who may do anything.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("admin.kubeconfig")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.path("audit.jsonl")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the store and waits until it answers.
    pub(super) async fn start_etcd(&self) -> Result<Process, Error> {
        let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
        let (client, peer) = (url(&self.etcd_port), url(&self.peer_port));
        let launch = Launch::new("etcd", &self.binaries.etcd)
            .arg(flag("data-dir", self.path("etcd-data").display()))
            .arg(flag("listen-client-urls", &client))
            .arg(flag("advertise-client-urls", &client))
            .arg(flag("listen-peer-urls", &peer))
            .arg(flag("initial-advertise-peer-urls", &peer))
            .arg(flag("initial-cluster", format_args!("default={peer}")))
            // The data goes with the test: what a power cut would lose may be lost.
            .args(["--unsafe-no-fsync", "--log-level=warn"]);
        let mut process = self.start("etcd", launch)?;
        let healthy = |response: &crate::http::Response| response.is_success().then_some(());
        process
            .wait_for_http(START_DEADLINE, &format!("{client}/health"), healthy)
            .await?;
        Ok(process)
    }

    /// Starts the API server and waits until it is ready.
    pub(super) async fn start_api_server(&self, client: &Client) -> Result<Process, Error> {
        let file = |name: &str, file: &str| flag(name, self.path(file).display());
        let launch = Launch::new("kube-apiserver", &self.binaries.api_server)
            .arg(flag(
                "etcd-servers",
                format_args!("http://127.0.0.1:{}", self.etcd_port.number()),
            ))
            .arg(flag("secure-port", self.api_port.number()))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(file("cert-dir", "certificates"))
            .arg(file("tls-cert-file", "server.crt"))
            .arg(file("tls-private-key-file", "server.key"))
            .arg(file("token-auth-file", "tokens.csv"))
            .arg(file("service-account-key-file", "service-accounts.crt"))
            .arg(file(
                "service-account-signing-key-file",
                "service-accounts.key",
            ))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg("--authorization-mode=RBAC")
            .arg("--service-cluster-ip-range=10.96.0.0/16")
            // The Service of the API server itself: its address on the loopback interface is refused there.
            .arg("--endpoint-reconciler-type=none")
            // Its objects take a second to make, and nobody competes here.
            .arg("--enable-priority-and-fairness=false")
            .arg("--profiling=false")
            .arg(file("audit-policy-file", "audit-policy.yaml"))
            .arg(flag("audit-log-path", self.audit_log().display()))
            // Megabytes: the log is never rotated, so that its reader sees all of it.
            .arg("--audit-log-maxsize=4000");
        let mut process = self.start("kube-apiserver", launch)?;
        let ready = async || is_ready(client).await.map_err(|error| error.to_string());
        process
            .wait_for(START_DEADLINE, "a ready API server", ready)
            .await?;
        Ok(process)
    }

    /// Starts the built-in controllers, which get to work by themselves.
    pub(super) fn start_controllers(&self) -> Result<Process, Error> {
        let file = |name: &str, file: &str| flag(name, self.path(file).display());
        let launch = Launch::new("kube-controller-manager", &self.binaries.controllers)
            .arg(file("kubeconfig", "controllers.kubeconfig"))
            .arg(flag("controllers", CONTROLLERS.join(",")))
            .arg(file(
                "service-account-private-key-file",
                "service-accounts.key",
            ))
            .arg(file("root-ca-file", "ca.crt"))
            .args(["--leader-elect=false", "--secure-port=0"])
            // Tests wait for them: their default of 20 calls a second is for clusters that others use too.
            .args(["--kube-api-qps=1000", "--kube-api-burst=2000"]);
        self.start("kube-controller-manager", launch)
    }

    fn start(&self, name: &str, launch: Launch) -> Result<Process, Error> {
        let log = self.path(name);
        fs::create_dir_all(&log).map_err(Error::Files)?;
        Ok(launch.output_in(log).start()?)
    }
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

/// Asks whether the API server has done all that belongs to its start.
async fn is_ready(client: &Client) -> Result<(), Error> {
    let request = hyper::Request::get("/readyz")
        .body(Vec::new())
        .map_err(|error| Error::Files(io::Error::other(error)))?;
    let asked = client.request_text(request).await;
    asked
        .map(drop)
        .map_err(Error::client("asking the API server whether it is ready"))
}
