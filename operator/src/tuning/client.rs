//! Requests to the admin port of a pod.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
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
        matches!(self, Self::Unreachable(_) | Self::Silent)
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
        Self { http }
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
        let address = SocketAddr::new(pod, ADMIN_PORT);
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| PodError::Unreadable(error.into()))?;
        let answer = self.http.request(request).await;
        let answer = answer.map_err(PodError::Unreachable)?;
        let status = answer.status();
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
