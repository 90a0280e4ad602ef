//! The stock API over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Cancellation, Decrease, Delivery, Stock};
use super::store::{Addition, Cancelling, StockStore, Taking};
use crate::api::{
    ATTEMPT_MAXIMUM, ApiError, Body, Path, ProblemDocument, in_range, of_length, of_time,
};

const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
/// Tells a repetition of a request from another that wants the same,
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Ordermill stock API",
    description = "Wood in stock: deliveries add to it, orders take of it, and it is never less than nothing."
))]
struct Document;

fn routes() -> OpenApiRouter<StockStore> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(add, all))
        .routes(routes!(get))
        .routes(routes!(take))
        .routes(routes!(cancel))
}

/// The routes without what every API has besides its own.
pub(crate) fn router(store: StockStore) -> axum::Router {
    routes().with_state(store).into()
}

/// The document that describes them.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// Adds a delivery, once.
#[utoipa::path(post, path = "/stocks", request_body = Delivery, responses(
    (status = 201, description = "It is added; so much is there now.", body = Stock),
    (status = 200, description = "It was added before, just so; so much is there now.", body = Stock),
    (status = 409, description = "Another delivery has its id.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "4XX", description = "It cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed, and nothing was added.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn add(
    State(store): State<StockStore>,
    Body(delivery): Body<Delivery, 422>,
) -> Result<Response, ApiError> {
    of_length(INVALID, "supplier_id", &delivery.supplier_id)?;
    in_range(INVALID, "quantity", delivery.quantity, 1..=1_000_000)?;
    of_time(INVALID, "timestamp", delivery.timestamp)?;
    let (status, stock) = match store.add(&delivery, Timestamp::now()).await? {
        Addition::Added(stock) => (StatusCode::CREATED, stock),
        Addition::Known(stock) => (StatusCode::OK, stock),
        Addition::Different => {
            let detail = format!("another delivery {} was added", delivery.delivery_id);
            return Err(ApiError::refused(StatusCode::CONFLICT, detail));
        }
    };
    Ok((status, Json(stock)).into_response())
}

/// All that is in stock.
#[derive(Debug, Serialize, ToSchema)]
struct Stocks {
    /// Every kind that was ever delivered, by name.
    stocks: Vec<Stock>,
}

/// Lists the stock.
#[utoipa::path(get, path = "/stocks", responses(
    (status = 200, description = "The stock.", body = Stocks),
    (status = "5XX", description = "It failed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn all(State(store): State<StockStore>) -> Result<Json<Stocks>, ApiError> {
    let stocks = store.all().await?;
    Ok(Json(Stocks { stocks }))
}

/// The stock of one kind.
#[utoipa::path(get, path = "/stocks/{wood_type}",
    params(("wood_type" = String, Path, description = "The kind.")), responses(
    (status = 200, description = "So much is there.", body = Stock),
    (status = 404, description = "There never was any.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn get(
    State(store): State<StockStore>,
    Path(name): Path<String>,
) -> Result<Json<Stock>, ApiError> {
    let stock = match name.parse() {
        Ok(wood_type) => store.get(wood_type).await?,
        Err(_) => None,
    };
    stock.map(Json).ok_or_else(|| unknown(&name))
}

/// Takes wood, if there is enough.
#[utoipa::path(post, path = "/stocks/decrease", request_body = Decrease,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 253, pattern = r"^[!-~]*$",
        description = "A request that is repeated with the same key takes once, and is answered alike.")), responses(
    (status = 200, description = "It is taken; so much was left then.", body = Stock),
    (status = 404, description = "There never was any.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 409, description = "There is less than that, or the decrease was cancelled.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 422, description = "It cannot be taken so, or the key was used for something else.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "4XX", description = "The request cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed, and nothing was taken.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn take(
    State(store): State<StockStore>,
    headers: HeaderMap,
    Body(decrease): Body<Decrease, 422>,
) -> Result<Json<Stock>, ApiError> {
    in_range(INVALID, "quantity", decrease.quantity, 1..=1_000_000)?;
    if let Some(attempt) = decrease.attempt {
        in_range(INVALID, "attempt", attempt, 1..=ATTEMPT_MAXIMUM)?;
    }
    let key = headers
        .get(IDEMPOTENCY_KEY)
        .map(idempotency_key)
        .transpose()?;
    let wood_type = decrease.wood_type.as_str();
    let (status, detail) = match store.take(&decrease, key, Timestamp::now()).await? {
        Taking::Taken(stock) => return Ok(Json(stock)),
        Taking::Insufficient(quantity) => {
            let detail = format!(
                "{} of {wood_type} are wanted and {quantity} are there",
                decrease.quantity
            );
            (StatusCode::CONFLICT, detail)
        }
        Taking::Unknown => return Err(unknown(wood_type)),
        Taking::KeyUsed => (
            INVALID,
            "the idempotency key was used for something else".to_owned(),
        ),
        Taking::Cancelled => (
            StatusCode::CONFLICT,
            "the decrease was cancelled".to_owned(),
        ),
    };
    Err(ApiError::refused(status, detail))
}

/// Cancels a decrease that was not made: what this claim of the order or an earlier one asks for from now on is refused.
#[utoipa::path(post, path = "/stocks/decrease/cancel", request_body = Cancellation,
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 253, pattern = r"^[!-~]*$",
        description = "The key of the decrease.")), responses(
    (status = 204, description = "Nothing was taken with this key, and nothing will be by this claim or an earlier one."),
    (status = 409, description = "It was made before.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 422, description = "It cannot be cancelled so.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "4XX", description = "The request cannot be read.", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "It failed, and nothing was cancelled.", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn cancel(
    State(store): State<StockStore>,
    headers: HeaderMap,
    Body(Cancellation { attempt }): Body<Cancellation, 422>,
) -> Result<StatusCode, ApiError> {
    in_range(INVALID, "attempt", attempt, 1..=ATTEMPT_MAXIMUM)?;
    let key = headers
        .get(IDEMPOTENCY_KEY)
        .ok_or_else(|| ApiError::refused(INVALID, "the header Idempotency-Key is missing"))?;
    let key = idempotency_key(key)?;
    match store.cancel(key, attempt, Timestamp::now()).await? {
        Cancelling::Cancelled => Ok(StatusCode::NO_CONTENT),
        Cancelling::Taken => Err(ApiError::refused(
            StatusCode::CONFLICT,
            "the decrease was made before",
        )),
    }
}

fn idempotency_key(header: &HeaderValue) -> Result<&str, ApiError> {
    let key = header.to_str().ok();
    let key = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    let key = key.ok_or_else(|| {
        let detail = "the header Idempotency-Key may only have visible characters of ASCII";
        ApiError::refused(INVALID, detail)
    })?;
    of_length(INVALID, "the header Idempotency-Key", key)?;
    Ok(key)
}

fn unknown(name: &str) -> ApiError {
    ApiError::refused(
        StatusCode::NOT_FOUND,
        format!("there never was any {name:?} in stock"),
    )
}
