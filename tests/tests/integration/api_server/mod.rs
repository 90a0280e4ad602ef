//! What a real API server makes of the definitions, and the harness that runs it.

mod cluster;
mod definitions;
mod examples;
mod kubectl;
mod node;
mod playground;
mod rules;
mod support;

#[path = "../../../../crds/tests/table/mod.rs"]
mod table;
