//! Who talks to the API server, and the kubeconfig files that say so.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::Error;
use crate::certificates::replace;

/// Longer than any test: nobody renews the token in a kubeconfig file.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Whose rights a client has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A person, by impersonation: name and groups are what role bindings know them by.
    User {
        /// The name.
        name: String,
        /// The groups; `system:authenticated` is added.
        groups: Vec<String>,
    },
    /// A `ServiceAccount`, which must exist, by a token of its own.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Identity {
    /// A user in no group.
    #[must_use]
    pub fn user(name: impl Into<String>) -> Self {
        Self::User {
            name: name.into(),
            groups: Vec::new(),
        }
    }

    /// A `ServiceAccount`.
    #[must_use]
    pub fn service_account(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self::ServiceAccount {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// Where an API server is.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) server: String,
    pub(super) authority: PathBuf,
}

/// What a client proves who it is with, as a kubeconfig's `user`.
#[derive(Debug, Clone)]
pub(super) struct Credentials(Value);

impl Credentials {
    pub(super) fn token(token: &str) -> Self {
        Self(json!({ "token": token }))
    }

    fn impersonating(&self, name: &str, groups: &[String]) -> Self {
        let mut user = self.0.clone();
        user["as"] = json!(name);
        user["as-groups"] = json!(groups);
        Self(user)
    }

    /// The credentials of `identity`, as the one of `self` and `client`, who may do anything, can get them.
    pub(super) async fn of(&self, identity: &Identity, client: Client) -> Result<Self, Error> {
        match identity {
            Identity::User { name, groups } => Ok(self.impersonating(name, groups)),
            Identity::ServiceAccount { namespace, name } => {
                Ok(Self::token(&token_of(client, namespace, name).await?))
            }
        }
    }
}

async fn token_of(client: Client, namespace: &str, name: &str) -> Result<String, Error> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
    let created = accounts
        .create_subresource::<_, TokenRequest>("token", name, &PostParams::default(), &request)
        .await
        .map_err(Error::client("asking for a ServiceAccount's token"))?;
    Ok(created
        .status
        .map(|status| status.token)
        .unwrap_or_default())
}

impl Endpoint {
    fn kubeconfig(&self, credentials: &Credentials) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {
                "server": self.server,
                "certificate-authority": self.authority,
            }}],
            "users": [{"name": "user", "user": credentials.0}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user"}}],
            "current-context": "tests",
        })
    }

    /// Writes the file by which programs find the API server. JSON is YAML too.
    pub(super) fn write_kubeconfig(
        &self,
        path: &Path,
        credentials: &Credentials,
    ) -> Result<(), Error> {
        Ok(replace(path, &self.kubeconfig(credentials).to_string())?)
    }

    /// What a client of this process connects by.
    pub(super) async fn config(&self, credentials: &Credentials) -> Result<Config, Error> {
        let kubeconfig: Kubeconfig =
            serde_json::from_value(self.kubeconfig(credentials)).map_err(Error::Json)?;
        let options = KubeConfigOptions::default();
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|source| Error::Config(Box::new(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impersonation_keeps_the_token() {
        let admin = Credentials::token("secret");
        let user = admin.impersonating("alice", &["readers".to_owned()]);
        assert_eq!(
            user.0,
            json!({"token": "secret", "as": "alice", "as-groups": ["readers"]})
        );
    }

    #[test]
    fn a_kubeconfig_is_read_as_kube_reads_it() {
        let endpoint = Endpoint {
            server: "https://127.0.0.1:6443".to_owned(),
            authority: "/tmp/ca.crt".into(),
        };
        let text = endpoint
            .kubeconfig(&Credentials::token("secret"))
            .to_string();
        let read = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("tests"));
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
    }
}
