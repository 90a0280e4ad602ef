//! The operator against a real API server: apply, edit, scale, delete, and what goes wrong meanwhile.

mod children;
mod leadership;
mod life;
mod limits;
mod requests;
mod stored;
mod strimzi;
mod telling;
mod tuning;
