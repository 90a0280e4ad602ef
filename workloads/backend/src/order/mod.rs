//! The order API: orders, their states, and claims on them.

mod api;
pub mod model;
pub mod store;

use axum::Router;

pub use self::api::openapi;
pub(crate) use self::api::router;
use self::store::OrderStore;
use crate::api::with_common_routes;

/// The whole API, without faults.
pub fn api(store: OrderStore) -> Router {
    let database = store.database().clone();
    with_common_routes(router(store), &openapi(), database)
}
