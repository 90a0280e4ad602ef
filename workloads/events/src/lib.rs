//! The order systems' producer models as pure generators: no I/O, no clock, no Kafka.
//!
//! A [`Generator`] hands out one [`Event`] per *tick* of its producer. Everything random in an event is a function of the
//! [`Identity`] and the tick, never of what was drawn before: what a fault does to one event changes no other, and a
//! producer that was killed goes on identically from a [`Checkpoint`].
//!
//! The caller decides what becomes of each event, tells it with [`Generator::settle`], and gets the events that follow from it:
//!
//! ```
//! use ordermill_events::{Generator, Identity, ModelSettings, Outcome};
//!
//! let mut generator = Generator::new(ModelSettings::WoodOrder, Identity::seeded(7, 0), 0.0);
//! let created_unix_ms = 1_767_225_600_000;
//! let order = generator.next(created_unix_ms);
//! let json = order.render(created_unix_ms, None);
//! assert!(json.ends_with(br#""timestamp":"2026-01-01T00:00:00.000Z"}"#));
//! assert!(generator.settle(&order, Outcome::Sent).is_empty());
//! ```
//!
//! The payloads' contract is the JSON Schema of each event type under `schemas/`, served by [`EventType::schema`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod drink;
pub mod food;
pub mod retail;
pub mod wood;

mod checkpoint;
mod customer;
mod event;
mod generator;
mod identity;
mod money;
mod population;
mod random;
mod render;

pub use checkpoint::{Checkpoint, RestoreError};
pub use customer::CustomerId;
pub use event::{Event, EventType, Payload};
pub use generator::{FollowUp, Generator, ModelSettings, Outcome};
pub use identity::Identity;
pub use money::Cents;
pub use random::{Root, RootError, Stream};
