//! `ordermill-workload` as somebody starts it by hand: by the environment variables of the original services alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin;
mod environment;
mod hand;
mod orders;

#[path = "../support/binomial.rs"]
mod binomial;
#[path = "../support/events.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod events;
