//! What the operator and the workloads agree on about a pod.

/// The port of a pod's admin server: `/livez`, `/readyz`, `/state` and `/tuning`.
pub const ADMIN_PORT: u16 = 8081;
/// The folder that both documents and the tuning keys are mounted in.
pub const CONFIGURATION_FOLDER: &str = "/etc/ordermill";
/// Name of the file in it that holds [`VerifyingKeys`](crate::VerifyingKeys): whose tuning a workload takes.
pub const KEYS_FILE: &str = "tuning-keys.json";
/// The folder of a pod for what `SQLite` keeps.
pub const DATA_FOLDER: &str = "/data";
/// The variable with the database's URL; it may hold a password, so it never stands in a document.
pub const DATABASE_URL: &str = "DATABASE_URL";
/// The variable with the cache's URL; it may hold a password, so it never stands in a document.
pub const CACHE_URL: &str = "CACHE_URL";
/// What the labels of everything that the operator makes are selected by.
pub const MANAGED_SELECTOR: &str = "app.kubernetes.io/managed-by=ordermill";
/// The annotation of a pod that names the tuning which it is to look for in its mounted file, as
/// `<generation>.<revision>`: a change of it makes the kubelet look.
pub const NUDGE: &str = "ordermill.dev/tuning";
