//! What goes wrong with a cluster, in one line each: what, why, and what to do.

use kube::config::{InferConfigError, KubeconfigError};
use kube::core::Status;
use ordermill_config::full_error;

use super::Kind;

/// Why the cluster does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("the kubeconfig cannot be used; see --kubeconfig, --context and KUBECONFIG")]
    Kubeconfig(#[source] Box<KubeconfigError>),
    #[error("no cluster is configured: {why}; give --kubeconfig, or set KUBECONFIG")]
    NotConfigured { why: String },
    #[error("the configuration of the cluster cannot be used")]
    Client(#[source] Box<kube::Error>),
    #[error(
        "the cluster at {server} cannot be reached: {why}; look at its address, and at your context with: kubectl config current-context"
    )]
    Unreachable { server: String, why: String },
    #[error(
        "the cluster at {server} does not know you: {why}; log in anew, or give another --context"
    )]
    Unauthorized { server: String, why: String },
    #[error(
        "{what}: you may not: {why}; ask who looks after the cluster for the right, or give another namespace with -n"
    )]
    Forbidden { what: String, why: String },
    #[error(
        "the cluster has no definition of {kind}: apply the definitions with: kubectl apply -f crds/"
    )]
    NotDefined { kind: Kind },
    #[error("there is no {what}; see all with: ordermill status -A")]
    NotFound { what: String },
    #[error("{what}: the API server refuses: {why}")]
    Refused { what: String, why: String },
}

impl ClusterError {
    /// Neither a kubeconfig nor a pod's own account was found; a person means the first.
    pub(crate) fn not_configured(error: &InferConfigError) -> Self {
        use std::error::Error as _;
        let why = error.source().map_or_else(|| error.to_string(), full_error);
        Self::NotConfigured { why }
    }

    /// What an error means that came back when `what` was asked for; of a `kind` of ours, if it was one.
    pub(crate) fn of(server: &str, what: &str, kind: Option<Kind>, error: &kube::Error) -> Self {
        let server = server.to_owned();
        let what = what.to_owned();
        let kube::Error::Api(status) = error else {
            let why = words(error);
            return Self::Unreachable { server, why };
        };
        let why = status.message.clone();
        match (status.code, kind) {
            (401, _) => Self::Unauthorized { server, why },
            (403, _) => Self::Forbidden { what, why },
            (404, Some(kind)) if !names_an_object(status) => Self::NotDefined { kind },
            (404, _) => Self::NotFound { what },
            _ => Self::Refused { what, why },
        }
    }

    /// Whether asking for something else may still work.
    pub(crate) const fn is_of_one_kind(&self) -> bool {
        matches!(
            self,
            Self::Forbidden { .. } | Self::NotDefined { .. } | Self::Refused { .. }
        )
    }
}

/// A path that is not served is answered without the name of an object.
fn names_an_object(status: &Status) -> bool {
    let details = status.details.as_ref();
    details.is_some_and(|details| !details.name.is_empty())
}

/// An error of the client as a person reads it, without what its layers are called.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::Service(source) => innermost(source.as_ref()),
        kube::Error::HyperError(source) => innermost(source),
        other => full_error(other),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

pub(crate) fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, name: &str) -> kube::Error {
        let status = serde_json::from_value(serde_json::json!({
            "code": code, "message": "because", "reason": "R", "details": {"name": name}
        }));
        kube::Error::Api(Box::new(status.unwrap()))
    }

    fn told(code: u16, name: &str) -> String {
        let error = api(code, name);
        ClusterError::of("https://k", "list workers", Some(Kind::Worker), &error).to_string()
    }

    #[test]
    fn each_answer_says_what_why_and_what_to_do() {
        assert_eq!(
            told(404, ""),
            "the cluster has no definition of Worker: apply the definitions with: kubectl apply -f crds/"
        );
        assert!(told(404, "a").starts_with("there is no list workers"));
        assert!(told(401, "").starts_with("the cluster at https://k does not know you: because;"));
        assert!(told(403, "").starts_with("list workers: you may not: because;"));
        assert_eq!(
            told(500, ""),
            "list workers: the API server refuses: because"
        );
    }
}
