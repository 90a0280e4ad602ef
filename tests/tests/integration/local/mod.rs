//! `ordermill local`, as somebody uses it: real files, the real program, and an independent client that looks on.

mod bounded;
mod edits;
mod ending;
mod examples;
mod manifests;
