//! References to what a workload talks to besides Kafka.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{BackendReference, ObjectName};

/// Declares a function that serde calls for an absent Secret key.
macro_rules! default_key {
    ($function:ident, $key:literal) => {
        fn $function() -> String {
            $key.to_owned()
        }
    };
}
pub(crate) use default_key;

/// One key of a Secret in this resource's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: ObjectName,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A database or a cache: a URL, or a Secret that holds one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url) != has(self.secret)")
    .message("set exactly one of url and secret"))]
pub struct Connection {
    /// The URL, such as `postgres://order@postgres/order`; put one with a password into a Secret instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^[a-z][a-z0-9+]*:.+$"))]
    pub url: Option<String>,
    /// The key of a Secret that holds the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretKey>,
}

/// The services that a workload calls, by role: each the name of a Backend in the same namespace, or an http(s) URL. What
/// answers there has to answer with JSON, and with problem documents (RFC 9457) where it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backends {
    /// The order API. Default: the Backend `order`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<BackendReference>,
    /// The stock API. Default: the Backend `stock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<BackendReference>,
    /// The customer service. Default: the Backend `customer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<BackendReference>,
}
