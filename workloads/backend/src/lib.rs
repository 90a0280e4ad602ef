//! The backends of the wood orders: the order API and the stock API, over HTTP, with a database behind each.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod api;
mod contents;
pub mod database;
mod gate;
pub mod order;
mod run;
pub mod stock;
mod store;
mod wood;

pub use api::text_of;
pub use contents::{Contents, ContentsError, StockAccount, contents};
pub use run::{BackendError, Surroundings, database_url, run_backend};
pub use store::StoreError;
