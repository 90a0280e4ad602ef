//! What a producer tells a real OpenTelemetry Collector, against what its topic holds and its log says.

mod counts;
mod logs;
mod scene;
mod traces;
