//! Requests to the admin port of a pod.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ordermill_config::{ADMIN_PORT, SignedTuning, StateReport, TuningVersion};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// One request takes no longer than this: a pod answers from memory.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Nor does connecting: a pod that is this slow is sooner told by its kubelet.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// No answer is longer.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Why a pod did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// It cannot be reached.
    #[error("it cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// It did not answer in time.
    #[error("it did not answer within {TIMEOUT:?}")]
    Silent,
    /// What has its address is something else: it does not answer in JSON.
    #[error("something other than a workload answers at its address: {0}")]
    Another(StatusCode),
    /// It refused.
    #[error("it answered {status}: {detail}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        detail: String,
    },
    /// Its answer cannot be read.
    #[error("its answer cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PodError {
    /// Whether asking the kubelet may help where the pod itself cannot be asked.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Silent | Self::Another(_))
    }
}

#[derive(Debug, Deserialize)]
struct Problem {
    detail: Option<String>,
}

/// Asks pods and pushes to them.
#[derive(Debug, Clone)]
pub struct PodClient {
    http: Client<HttpConnector, Full<Bytes>>,
    /// Of the admin server, the same in all pods.
    port: u16,
}

impl Default for PodClient {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            // More than one idle connection to a pod is never needed.
            .pool_max_idle_per_host(1)
            .build(connector);
        Self {
            http,
            port: ADMIN_PORT,
        }
    }
}

impl PodClient {
    /// What a pod does.
    ///
    /// # Errors
    /// When it does not answer, or not with a state.
    pub async fn state(&self, pod: IpAddr) -> Result<StateReport, PodError> {
        self.request(pod, Method::GET, "/state", Bytes::new()).await
    }

    /// Gives a pod a tuning; answers with what it runs with then.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn push(
        &self,
        pod: IpAddr,
        tuning: &SignedTuning,
    ) -> Result<TuningVersion, PodError> {
        #[derive(Deserialize)]
        struct Answer {
            generation: i64,
            revision: u32,
        }
        let body =
            serde_json::to_vec(tuning).map_err(|error| PodError::Unreadable(error.into()))?;
        let answer: Answer = self
            .request(pod, Method::POST, "/tuning", body.into())
            .await?;
        Ok(TuningVersion {
            generation: answer.generation,
            revision: answer.revision,
        })
    }

    async fn request<T: DeserializeOwned>(
        &self,
        pod: IpAddr,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, PodError> {
        let answer = self.exchange(pod, method, path, body);
        tokio::time::timeout(TIMEOUT, answer)
            .await
            .unwrap_or(Err(PodError::Silent))
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        pod: IpAddr,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, PodError> {
        let address = SocketAddr::new(pod, self.port);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| PodError::Unreadable(error.into()))?;
        let connection = capture_connection(&mut request);
        let answer = self.http.request(request).await;
        let answer = answer.map_err(PodError::Unreachable)?;
        let status = answer.status();
        if !is_json(answer.headers()) {
            // It would lead to the same one again, for as long as it lasts.
            connection
                .connection_metadata()
                .as_ref()
                .map(Connected::poison);
            return Err(PodError::Another(status));
        }
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER);
        let body = body.collect().await.map_err(PodError::Unreadable)?;
        let body = body.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| PodError::Unreadable(error.into()));
        }
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let detail = problem.and_then(|problem| problem.detail);
        Err(PodError::Refused {
            status,
            detail: detail.unwrap_or_default(),
        })
    }
}

/// Whether this is `application/json`, or `application/problem+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|it| it.to_str().ok());
    content_type.is_some_and(|it| it.split(';').next().unwrap_or(it).trim().ends_with("json"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, OnceLock};

    use axum::extract::ConnectInfo;
    use axum::response::IntoResponse as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_led_to_something_else_is_left() {
        let first = Arc::new(OnceLock::new());
        let answer = async move |ConnectInfo(caller): ConnectInfo<SocketAddr>| {
            if *first.get_or_init(|| caller) == caller {
                return StatusCode::NOT_FOUND.into_response();
            }
            let running = r#"{"generation": 7, "revision": 0, "state": "Running"}"#;
            ([(header::CONTENT_TYPE, "application/json")], running).into_response()
        };
        let router = axum::Router::new().fallback(answer);
        let pod = Ipv4Addr::LOCALHOST;
        let listener = tokio::net::TcpListener::bind((pod, 0)).await.unwrap();
        let client = PodClient {
            port: listener.local_addr().unwrap().port(),
            ..PodClient::default()
        };
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, router).await });
        let another = client.state(pod.into()).await.unwrap_err();
        assert!(another.is_unreachable(), "{another}");
        assert_eq!(
            another.to_string(),
            "something other than a workload answers at its address: 404 Not Found"
        );
        let state = client.state(pod.into()).await.unwrap();
        assert_eq!(state.generation, 7);
    }
}
