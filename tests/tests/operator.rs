//! The operator against a real API server: apply, edit, scale, delete, and what goes wrong meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "operator/children.rs"]
mod children;
#[path = "operator/leadership.rs"]
mod leadership;
#[path = "operator/life.rs"]
mod life;
#[path = "operator/limits.rs"]
mod limits;
#[path = "operator/requests.rs"]
mod requests;
#[path = "support/stage.rs"]
mod stage;
#[path = "operator/stored.rs"]
mod stored;
#[path = "operator/strimzi.rs"]
mod strimzi;
#[path = "operator/telling.rs"]
mod telling;
#[path = "operator/tuning.rs"]
mod tuning;
