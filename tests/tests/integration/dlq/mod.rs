//! `ordermill dlq` on a real Kafka: dead letters are listed, shown, and go back to where they come from, exactly once.

mod ending;
mod letters;
mod look;
mod replay;
mod trouble;
