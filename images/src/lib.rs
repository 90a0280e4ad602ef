//! Builds Ordermill's static programs and their container images, without a container engine.
//!
//! The same commit gives the same bytes, in whatever folder it is built: [`compile`] keeps folders and times out of the
//! programs, and nothing in an image comes from the clock or from a directory's order.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod archive;
pub mod authorities;
pub mod checkout;
pub mod compile;
pub mod files;
pub mod image;
pub mod layer;
mod program;

pub use program::{Architecture, Program, UnknownArchitecture};
