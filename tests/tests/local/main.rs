//! `ordermill local`, as somebody uses it: real files, the real program, and an independent client that looks on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounded;
mod edits;
mod ending;
mod examples;
mod manifests;

#[path = "../support/events.rs"]
mod events;
#[path = "../support/local.rs"]
mod harness;
