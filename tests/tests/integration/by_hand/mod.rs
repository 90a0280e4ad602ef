//! `ordermill-workload` as somebody starts it by hand: by the environment variables of the original services alone.

mod admin;
mod binomial;
mod environment;
mod hand;
mod orders;
