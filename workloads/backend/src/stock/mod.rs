//! The stock API: wood that is there, deliveries that add to it, and orders that take of it.

mod api;
pub mod model;
pub mod store;

use axum::Router;

pub use self::api::openapi;
pub(crate) use self::api::router;
use self::store::StockStore;
use crate::api::with_common_routes;

/// The whole API, without faults.
pub fn api(store: StockStore) -> Router {
    let database = store.database().clone();
    with_common_routes(router(store), &openapi(), database)
}
