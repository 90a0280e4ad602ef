//! The rules of a structural schema (`OpenAPI` v3), applied as an API server applies them.
//!
//! [`SchemaNode`] is a schema read once; [`normalize`](normalize::normalize) does to a value what the API server does
//! before it checks: drops what it would drop, fills in defaults; [`check`](check::check) then finds every rule that the
//! value breaks, the CEL rules last.

mod cel;
mod check;
mod finding;
mod format;
mod node;
mod normalize;

pub(super) use check::check;
pub(super) use finding::{Finding, Weight, nearest, one_of, shorten};
pub use node::SchemaError;
pub(super) use node::SchemaNode;
pub(super) use normalize::{Extra, normalize};
