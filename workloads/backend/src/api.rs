//! What both APIs take and answer alike.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use ordermill_config::full_error;
use ordermill_runtime::problem::Problem;
use serde::de::{DeserializeOwned, Unexpected};
use serde::{Deserialize as _, Deserializer};
use serde_json::Number;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::database::Database;
use crate::store::StoreError;

/// The largest body that is read, in bytes: messages are padded up to 900,000.
pub const BODY_LIMIT: usize = 1 << 20;

/// Why a request is not answered as it asks.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It cannot be read, or asks for what cannot be.
    #[error("{detail}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// What is wrong and what is allowed.
        detail: String,
    },
    /// The database cannot answer.
    #[error("the database cannot answer")]
    Store(#[from] StoreError),
}

impl ApiError {
    /// A request that is refused with a status, in words.
    pub fn refused(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Refused { status, detail }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => *status,
            // The caller may well try again: nothing was half done.
            Self::Store(StoreError::Database(
                sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_),
            )) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if let Self::Store(error) = &self {
            tracing::error!("{}", full_error(error));
        }
        Problem::new(status, &self.to_string()).into_response()
    }
}

macro_rules! refused_by {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for ApiError {
            fn from(rejection: $rejection) -> Self {
                // The text of the innermost cause names the field.
                Self::refused(rejection.status(), full_error(&rejection))
            }
        }
    )*};
}

refused_by!(JsonRejection, PathRejection, QueryRejection);

/// A body of JSON; what is wrong with it is told with the field's name, and where it is JSON with the status `INVALID`.
#[derive(Debug)]
pub struct Body<T, const INVALID: u16>(pub T);

impl<T: DeserializeOwned, S: Send + Sync, const INVALID: u16> FromRequest<S> for Body<T, INVALID> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection @ JsonRejection::JsonDataError(_)) => {
                let status = StatusCode::from_u16(INVALID).unwrap_or(rejection.status());
                Err(ApiError::refused(status, full_error(&rejection)))
            }
            Err(rejection) => Err(rejection.into()),
        }
    }
}

/// A part of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let axum::extract::Path(path) =
            axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

/// What stands behind the question mark.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let axum::extract::Query(query) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

/// A problem document, <https://www.rfc-editor.org/rfc/rfc9457>: how every refusal and failure is answered.
#[derive(Debug, ToSchema)]
#[schema(as = Problem)]
#[allow(
    dead_code,
    reason = "it describes ordermill_runtime::problem::Problem in OpenAPI documents"
)]
pub struct ProblemDocument {
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong, and what is allowed.
    detail: String,
    /// The fault that made it on purpose, such as `errorRate`.
    injected: Option<String>,
}

/// Adds what every API has besides its own: whether it works, its OpenAPI document, and a problem for all else.
pub fn with_common_routes(
    router: axum::Router,
    document: &OpenApi,
    database: Database,
) -> axum::Router {
    let text = Bytes::from(text_of(document));
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    let health = move || async move {
        match database.ping().await {
            Ok(()) => "ok\n".into_response(),
            Err(error) => ApiError::from(StoreError::from(error)).into_response(),
        }
    };
    router
        .route("/healthz", get(health))
        .route("/openapi.json", get(document))
        .fallback(async || {
            ApiError::refused(
                StatusCode::NOT_FOUND,
                "there is no such path: see /openapi.json",
            )
        })
        .method_not_allowed_fallback(async || {
            ApiError::refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "the path does not take this method: see /openapi.json",
            )
        })
}

/// An OpenAPI document as it is served and kept in the repository.
#[must_use]
pub fn text_of(document: &OpenApi) -> String {
    // A document of ours serializes.
    format!("{}\n", document.to_pretty_json().unwrap_or_default())
}

/// A whole number, as a field of a request. JSON Schema takes `3.0` for an integer too,
/// <https://json-schema.org/draft/2020-12/json-schema-validation#section-6.1.1>.
///
/// # Errors
/// When it is no number, has a fraction, or does not fit.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    whole_of(&Number::deserialize(deserializer)?)
}

/// The same, of a field that may be absent or null.
///
/// # Errors
/// As [`whole`].
pub fn optional_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<Number>::deserialize(deserializer)?;
    number.as_ref().map(whole_of).transpose()
}

fn whole_of<E: serde::de::Error>(number: &Number) -> Result<i64, E> {
    // Above 2⁵³ a float no longer tells which whole number was meant.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = number.as_i64() {
        return Ok(whole);
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    if float.fract() != 0.0 || float.abs() > EXACT {
        return Err(E::invalid_value(
            Unexpected::Float(float),
            &"a whole number",
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and exact")]
    Ok(float as i64)
}

/// A number with bounds, as a field of a request.
///
/// # Errors
/// [`ApiError::Refused`] with `status`, which names the field and its bounds.
pub fn in_range(
    status: StatusCode,
    field: &str,
    number: i64,
    allowed: std::ops::RangeInclusive<i64>,
) -> Result<i64, ApiError> {
    if allowed.contains(&number) {
        return Ok(number);
    }
    let (least, most) = (allowed.start(), allowed.end());
    Err(ApiError::refused(
        status,
        format!("{field} is {number}; it may be {least} to {most}"),
    ))
}

/// A text with bounds of its length, as a field of a request.
///
/// # Errors
/// [`ApiError::Refused`] with `status`, which names the field and its bounds.
pub fn of_length(status: StatusCode, field: &str, text: &str) -> Result<(), ApiError> {
    let length = text.chars().count();
    if (1..=TEXT_MAX_LENGTH).contains(&length) && !text.contains('\0') {
        return Ok(());
    }
    let detail = format!(
        "{field} has {length} characters; it may have 1 to {TEXT_MAX_LENGTH}, none of them a zero"
    );
    Err(ApiError::refused(status, detail))
}

/// A time, as a field of a request. One before the year 0 could be stored, but not be answered in RFC 3339.
///
/// # Errors
/// [`ApiError::Refused`] with `status`, which names the field.
pub fn of_time(status: StatusCode, field: &str, time: Timestamp) -> Result<(), ApiError> {
    const YEAR_ZERO: i64 = -62_167_219_200;
    if time.as_second() >= YEAR_ZERO {
        return Ok(());
    }
    Err(ApiError::refused(
        status,
        format!("{field} is before the year 0"),
    ))
}

/// Highest number of a claim of an order that a request can name.
pub const ATTEMPT_MAXIMUM: i64 = 2_147_483_647;

/// Longest name of a customer, supplier or worker, and longest idempotency key.
pub const TEXT_MAX_LENGTH: usize = 253;
