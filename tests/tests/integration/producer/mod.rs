//! Producers as processes: what they deliver, whatever happens to them meanwhile.

mod bounded;
mod faults;
mod outage;
mod security;
mod topics;
