//! What an API answers, and what is answered in its place.

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::response::Parts;
use hyper::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

/// What an API answers with where it does what it is asked for.
const JSON: &str = "application/json";
/// How an API says why it refuses or fails, <https://www.rfc-editor.org/rfc/rfc9457#section-3>.
const PROBLEM: &str = "application/problem+json";

/// What an API said: it did what was asked for (2xx), or refused it (4xx).
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Reads the body.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The `detail` of a problem document; the status' own words where there is none.
    #[must_use]
    pub fn detail(&self) -> String {
        let problem: Option<serde_json::Value> = self.json().ok();
        let detail = problem.and_then(|problem| problem.get("detail")?.as_str().map(str::to_owned));
        detail.unwrap_or_else(|| {
            let words = self.status.canonical_reason();
            words.unwrap_or("no reason").to_owned()
        })
    }

    /// Whether what was asked for is refused for its own sake, and would be again. Any other refusal is of the way to it: a
    /// path that is not there, a proxy that wants a login.
    #[must_use]
    pub fn refuses_the_request(&self) -> bool {
        refuses_the_request(self.status)
    }
}

fn refuses_the_request(status: StatusCode) -> bool {
    [
        StatusCode::BAD_REQUEST,
        StatusCode::CONFLICT,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ]
    .contains(&status)
}

/// Who answers a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answerer {
    /// The API, by its media types.
    Api,
    /// The API, or something before it: the status has a meaning all the same.
    Either,
    /// Something else that has the address: a gateway that was reached before the cluster's network knew a new Service, a
    /// proxy's page, another service.
    Another {
        /// Its media type; none where it names none.
        media_type: Option<String>,
        /// That of the API.
        expected: &'static str,
    },
}

impl Answerer {
    /// By an answer.
    pub(super) fn of(head: &Parts, body: &[u8]) -> Self {
        let media_type = media_type(&head.headers);
        let status = head.status;
        if status.is_success() {
            let says_nothing = media_type.is_none() && body.is_empty();
            if says_nothing || media_type.as_deref() == Some(JSON) {
                return Self::Api;
            }
            return Self::Another {
                media_type,
                expected: JSON,
            };
        }
        if media_type.as_deref() == Some(PROBLEM) {
            return Self::Api;
        }
        let has_a_meaning = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || refuses_the_request(status);
        if has_a_meaning {
            return Self::Either;
        }
        Self::Another {
            media_type,
            expected: PROBLEM,
        }
    }
}

/// The type without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (media_type, _) = value.split_once(';').unwrap_or((value, ""));
    Some(media_type.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use hyper::Response;

    use super::*;

    /// Who answers with a status, a media type and a body.
    fn answerer(status: u16, media_type: &str, body: &str) -> &'static str {
        let mut response = Response::builder().status(status);
        if !media_type.is_empty() {
            response = response.header(CONTENT_TYPE, media_type);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        match Answerer::of(&head, body.as_bytes()) {
            Answerer::Api => "the API",
            Answerer::Either => "either",
            Answerer::Another { .. } => "another",
        }
    }

    #[test]
    fn an_api_is_known_by_its_media_types() {
        for (status, media_type, body, expected) in [
            (200, "application/json", "{}", "the API"),
            (201, "Application/JSON; charset=utf-8", "{}", "the API"),
            (201, "", "", "the API"),
            (204, "", "", "the API"),
            // A page that asks for a login.
            (200, "text/html", "<html>", "another"),
            (200, "", "hello", "another"),
            (302, "", "", "another"),
            (401, "text/html", "<html>", "another"),
            // A gateway that knows no such route.
            (404, "", "", "another"),
            (404, "application/json", "{}", "another"),
            (404, "application/problem+json", "{}", "the API"),
            // An API without problem documents refuses all the same, or each such message would be tried for ever.
            (400, "", "", "either"),
            (409, "application/json", "{}", "either"),
            (422, "application/problem+json", "{}", "the API"),
            (429, "", "", "either"),
            (500, "application/problem+json", "{}", "the API"),
            (503, "text/html", "<html>", "either"),
        ] {
            let found = answerer(status, media_type, body);
            assert_eq!(found, expected, "{status} {media_type} {body}");
        }
    }

    #[test]
    fn a_refusal_tells_its_reason() {
        let answer = |body: &'static str| Answer {
            status: StatusCode::CONFLICT,
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(answer(r#"{"detail": "another"}"#).detail(), "another");
        assert_eq!(answer(r#"{"title": "Conflict"}"#).detail(), "Conflict");
        assert_eq!(answer("").detail(), "Conflict");
    }
}
