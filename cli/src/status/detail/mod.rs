//! One resource in full.

mod gather;
mod pods;
mod screen;
mod topics;
mod view;

pub(crate) use gather::gather;
#[cfg(test)]
pub(crate) use pods::AskedPod;
pub(crate) use screen::screen;
#[cfg(test)]
pub(crate) use view::Facts;
pub(crate) use view::{Detail, detail};
