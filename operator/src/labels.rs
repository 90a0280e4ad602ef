//! Labels and annotations of what the operator makes.

use std::collections::BTreeMap;

/// Whose objects they are; the caches watch only what carries it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`], and the field manager of every write.
pub const MANAGER: &str = "ordermill";
/// The common name of a resource's children.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// `producer`, `consumer`, `worker` or `backend`.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The resource's name in full, which is too long for a label; an annotation.
pub const RESOURCE: &str = "ordermill.dev/resource";
/// Hash of what the pods start with: another one rolls them. An annotation of the pods.
pub const WORKLOAD_HASH: &str = "ordermill.dev/workload-hash";
/// Hash of the whole child as it was built: tells that a field was taken out. An annotation of every child.
pub const APPLIED_HASH: &str = "ordermill.dev/applied-hash";

/// Labels of every child.
#[must_use]
pub fn labels(child_name: &str, component: &str) -> BTreeMap<String, String> {
    let mut labels = selector(child_name, component);
    for (name, value) in [
        (MANAGED_BY, MANAGER),
        ("app.kubernetes.io/name", "ordermill-workload"),
        ("app.kubernetes.io/part-of", "ordermill"),
    ] {
        labels.insert(name.to_owned(), value.to_owned());
    }
    labels
}

/// Labels that tell a resource's pods from all others: a Deployment's selector never changes.
#[must_use]
pub fn selector(child_name: &str, component: &str) -> BTreeMap<String, String> {
    let pairs = [(INSTANCE, child_name), (COMPONENT, component)];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The same as text, for the scale subresource.
#[must_use]
pub fn selector_text(child_name: &str, component: &str) -> String {
    let selector = selector(child_name, component);
    let terms = selector
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    terms.collect::<Vec<_>>().join(",")
}
