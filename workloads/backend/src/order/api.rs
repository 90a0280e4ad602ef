//! The order API over HTTP.

use std::ops::RangeInclusive;
use std::time;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use ordermill_crds::values::Duration;
use ordermill_runtime::telemetry::{TraceContext, names};
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::model::{NewOrder, Order, OrderStatus, StatusChange};
use super::store::{Change, OrderStore, Registration};
use crate::api::{
    ATTEMPT_MAXIMUM, ApiError, Body, Path, ProblemDocument, Query, in_range, of_length, of_time,
    optional_whole,
};

/// Most orders of a page or a claim.
const LIMIT_MAXIMUM: i64 = 10_000;
/// Orders of a page that names no number.
const LIMIT_DEFAULT: i64 = 100;
/// Shortest and longest lease.
const LEASE: RangeInclusive<time::Duration> =
    time::Duration::from_secs(1)..=time::Duration::from_hours(87_600);
const BAD: StatusCode = StatusCode::BAD_REQUEST;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Ordermill order API",
    description = "Orders of wood: registered, claimed by workers, processed or failed."
))]
struct Document;

fn routes() -> OpenApiRouter<OrderStore> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(register, page))
        .routes(routes!(claim))
        .routes(routes!(get))
        .routes(routes!(change))
}

/// The routes without what every API has besides its own.
pub(crate) fn router(store: OrderStore) -> axum::Router {
    routes().with_state(store).into()
}

/// The document that describes them.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// Registers an order, once.
#[utoipa::path(post, path = "/orders", request_body = NewOrder,
    params(("traceparent" = Option<String>, Header,
        description = "The trace that the order belongs to, as W3C writes it; one that is malformed is ignored.")), responses(
    (status = 201, description = "It is registered.", body = Order),
    (status = 200, description = "It was registered before, just so.", body = Order),
    (status = 409, description = "Another order has its id.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "4XX", description = "It cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed, and nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn register(
    State(store): State<OrderStore>,
    headers: HeaderMap,
    Body(order): Body<NewOrder, 400>,
) -> Result<Response, ApiError> {
    of_length(BAD, "customer_id", &order.customer_id)?;
    in_range(BAD, "quantity", order.quantity, 1..=1_000_000)?;
    of_time(BAD, "timestamp", order.timestamp)?;
    let trace = trace(&headers);
    let registration = store.register(&order, trace.as_ref(), Timestamp::now());
    let (status, order) = match registration.await? {
        Registration::Created(order) => (StatusCode::CREATED, order),
        Registration::Known(order) => (StatusCode::OK, order),
        Registration::Different => {
            let detail = format!("another order {} is registered", order.order_id);
            return Err(ApiError::refused(StatusCode::CONFLICT, detail));
        }
    };
    Ok((status, Json(order)).into_response())
}

fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let header = headers.get(names::HEADER_TRACEPARENT)?.to_str().ok()?;
    TraceContext::parse(header).ok()
}

/// Which orders to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// Orders of this status alone.
    status: Option<OrderStatus>,
    /// How many at most.
    #[param(minimum = 1, maximum = 10_000, default = 100)]
    limit: Option<i64>,
    /// Those after this order, as `next` of the page before says.
    after: Option<Uuid>,
}

/// Some orders.
#[derive(Debug, Serialize, ToSchema)]
struct Page {
    /// The orders, by id.
    orders: Vec<Order>,
    /// What to ask for with `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// Lists orders by id, a page at a time.
#[utoipa::path(get, path = "/orders", params(PageQuery), responses(
    (status = 200, description = "A page.", body = Page),
    (status = "4XX", description = "The query cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn page(
    State(store): State<OrderStore>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page>, ApiError> {
    let limit = limit("limit", query.limit)?;
    let now = Timestamp::now();
    // One more than asked for tells whether there is another page.
    let mut orders = store
        .page(query.status, query.after, limit + 1, now)
        .await?;
    let is_last = orders.len() <= limit as usize;
    orders.truncate(limit as usize);
    let next = orders
        .last()
        .map(|order| order.order.order_id)
        .filter(|_| !is_last);
    Ok(Json(Page { orders, next }))
}

/// A worker's wish for orders.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// Who claims.
    #[schema(
        min_length = 1,
        max_length = 253,
        pattern = r"^[^\u0000]*$",
        examples("worker-0")
    )]
    worker: String,
    /// How many at most.
    #[serde(default, deserialize_with = "optional_whole")]
    #[schema(minimum = 1, maximum = 10_000, default = 100, examples(10))]
    limit: Option<i64>,
    /// For how long, such as `30s` or `1h30m`; a shorter lease than `1s` lasts that, a longer one than `87600h` that.
    /// Afterwards they are registered again.
    #[schema(value_type = String, max_length = 24, pattern = r"^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|ms|s|m|h))+$", examples("30s"))]
    lease: Duration,
}

/// Orders that a worker has.
#[derive(Debug, Serialize, ToSchema)]
struct Claimed {
    /// The orders, oldest first.
    orders: Vec<Order>,
}

/// Gives the oldest registered orders to one worker.
#[utoipa::path(post, path = "/orders/claim", request_body = Claim, responses(
    (status = 200, description = "The orders that nobody else gets before the lease is over; none where none waits.", body = Claimed),
    (status = "4XX", description = "The claim cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed, and nothing was claimed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn claim(
    State(store): State<OrderStore>,
    Body(claim): Body<Claim, 400>,
) -> Result<Json<Claimed>, ApiError> {
    of_length(BAD, "worker", &claim.worker)?;
    let limit = limit("limit", claim.limit)?;
    let lease = claim.lease.get().clamp(*LEASE.start(), *LEASE.end());
    let orders = store
        .claim(&claim.worker, limit, lease, Timestamp::now())
        .await?;
    Ok(Json(Claimed { orders }))
}

/// One order.
#[utoipa::path(get, path = "/orders/{id}", params(("id" = Uuid, Path, description = "The order's id.")), responses(
    (status = 200, description = "The order.", body = Order),
    (status = 404, description = "There is none.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "4XX", description = "The id cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn get(
    State(store): State<OrderStore>,
    Path(id): Path<Uuid>,
) -> Result<Json<Order>, ApiError> {
    let order = store.get(id, Timestamp::now()).await?;
    order.map(Json).ok_or_else(|| unknown(id))
}

/// Moves an order on.
#[utoipa::path(put, path = "/orders/{id}/status", params(("id" = Uuid, Path, description = "The order's id.")),
    request_body = StatusChange, responses(
    (status = 200, description = "The order is so now, or was before.", body = Order),
    (status = 400, description = "The change cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 404, description = "There is no such order.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 409, description = "It cannot become that, or was claimed again since.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "4XX", description = "The request cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed, and nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn change(
    State(store): State<OrderStore>,
    Path(id): Path<Uuid>,
    Body(change): Body<StatusChange, 400>,
) -> Result<Json<Order>, ApiError> {
    if let Some(attempt) = change.attempt {
        in_range(BAD, "attempt", attempt, 1..=ATTEMPT_MAXIMUM)?;
    }
    let detail = match store.change(id, &change, Timestamp::now()).await? {
        Change::Done(order) => return Ok(Json(order)),
        Change::Unknown => return Err(unknown(id)),
        Change::Forbidden(status) => {
            format!("an order that is {status} cannot become {}", change.status)
        }
        Change::ClaimedSince(attempts) => {
            format!("the order was claimed {attempts} times: this is not the last claim")
        }
    };
    Err(ApiError::refused(StatusCode::CONFLICT, detail))
}

fn unknown(id: Uuid) -> ApiError {
    ApiError::refused(StatusCode::NOT_FOUND, format!("there is no order {id}"))
}

fn limit(field: &str, given: Option<i64>) -> Result<u32, ApiError> {
    let limit = in_range(
        BAD,
        field,
        given.unwrap_or(LIMIT_DEFAULT),
        1..=LIMIT_MAXIMUM,
    )?;
    // It is in the range that was just looked at.
    Ok(u32::try_from(limit).unwrap_or(u32::MAX))
}
