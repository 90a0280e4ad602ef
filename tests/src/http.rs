//! A small HTTP client for what tests ask on the loopback interface.

use std::collections::BTreeMap;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code, for instance 503.
    pub status: u16,
    /// The headers, by their names in lower case; those that are no text are left out.
    pub headers: BTreeMap<String, String>,
    /// The whole body; bytes that are no UTF-8 are replaced.
    pub body: String,
}

impl Response {
    /// Whether the status is between 200 and 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Error::Json`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.body).map_err(|source| Error::Json {
            body: self.body.clone(),
            source,
        })
    }
}

/// Why there is no answer, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL does not parse.
    #[error("{url} is no URL")]
    Url {
        /// The text in question.
        url: String,
        /// Why not.
        #[source]
        source: hyper::http::Error,
    },
    /// Nobody answered.
    #[error("{url} does not answer")]
    Connect {
        /// What was asked.
        url: String,
        /// Why not.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// The answer broke off.
    #[error("the answer of {url} broke off")]
    Body {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The body is not the JSON that was expected.
    #[error("this is not the JSON that was expected: {body}")]
    Json {
        /// The body.
        body: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// GETs `url`.
///
/// # Errors
/// [`Error`]; any status is an answer.
pub async fn get(url: &str) -> Result<Response, Error> {
    send(url, Request::get(url).body(Full::default())).await
}

/// POSTs `body` as `application/json`.
///
/// # Errors
/// [`Error`]; any status is an answer.
pub async fn post_json(url: &str, body: &serde_json::Value) -> Result<Response, Error> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())));
    send(url, request).await
}

async fn send(
    url: &str,
    request: Result<Request<Full<Bytes>>, hyper::http::Error>,
) -> Result<Response, Error> {
    let request = request.map_err(|source| Error::Url {
        url: url.to_owned(),
        source,
    })?;
    // A client each time: a pooled connection to a server that has been killed since would fail the next request.
    let response = Client::builder(TokioExecutor::new())
        .build_http()
        .request(request)
        .await
        .map_err(|source| Error::Connect {
            url: url.to_owned(),
            source,
        })?;
    let status = response.status().as_u16();
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = response.headers().iter().filter_map(text).collect();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|source| Error::Body {
            url: url.to_owned(),
            source,
        })?
        .to_bytes();
    Ok(Response {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
