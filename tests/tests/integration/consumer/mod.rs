//! Consumers on a real Kafka: what they handle, what they give up, how groups share, what faults do.

mod failures;
mod faults;
mod groups;
mod handling;
mod live;
mod scene;
