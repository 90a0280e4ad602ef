//! An API that takes down what it is asked, and answers as a test wants it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ordermill_runtime::problem::Problem;
use ordermill_tests::TestResult;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path.
    pub what: String,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// How many requests with this body came before.
    pub earlier: usize,
}

/// How a request is answered, and after which time.
pub type Answering = fn(&Asked) -> (u16, Duration);

/// At once and well.
pub const WELL: Answering = |_| (201, Duration::ZERO);

#[derive(Debug)]
struct Book {
    asked: Mutex<Vec<Asked>>,
    answering: Answering,
    /// Who is connected to something else, for as long as the connection lasts; none where nobody is to be.
    led_astray: Option<OnceLock<SocketAddr>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// An API that takes down what it is asked.
#[derive(Debug)]
pub struct Recorder {
    book: Arc<Book>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Recorder {
    /// On a port of its own.
    pub async fn start(answering: Answering) -> TestResult<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answering).await
    }

    /// Where an earlier one was.
    pub async fn start_at(address: SocketAddr, answering: Answering) -> TestResult<Self> {
        Self::serve(address, answering, None).await
    }

    /// On a port of its own, where something else that knows no path answers all that comes by the first connection: as a
    /// gateway does that was reached before the network knew a new address.
    pub async fn start_after_another(answering: Answering) -> TestResult<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::serve(address, answering, Some(OnceLock::new())).await
    }

    async fn serve(
        address: SocketAddr,
        answering: Answering,
        led_astray: Option<OnceLock<SocketAddr>>,
    ) -> TestResult<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let book = Arc::new(Book {
            asked: Mutex::default(),
            answering,
            led_astray,
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&book));
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Ok(Self {
            book,
            address,
            serving,
        })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes away; the address can be taken again.
    pub async fn stop(self) -> SocketAddr {
        self.serving.abort();
        _ = self.serving.await;
        self.address
    }

    /// What came so far, in its order.
    pub fn asked(&self) -> Vec<Asked> {
        self.book.asked.lock().unwrap().clone()
    }

    /// The value of a member of each body, in its order.
    pub fn members(&self, name: &str) -> Vec<String> {
        let asked = self.asked();
        let member = |it: &Asked| it.body[name].as_str().unwrap_or_default().to_owned();
        asked.iter().map(member).collect()
    }

    /// The most requests that were being answered at once.
    pub fn most_at_once(&self) -> usize {
        self.book.most.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(book): State<Arc<Book>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let led_astray = book.led_astray.as_ref();
    if led_astray.is_some_and(|first| *first.get_or_init(|| caller) == caller) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let now = book.now.fetch_add(1, Ordering::SeqCst) + 1;
    book.most.fetch_max(now, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let headers = head.headers.iter();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let mut asked = Asked {
        what: format!("{} {}", head.method, head.uri),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        earlier: 0,
    };
    {
        let mut all = book.asked.lock().unwrap();
        asked.earlier = all.iter().filter(|it| it.body == asked.body).count();
        all.push(asked.clone());
    }
    let (status, after) = (book.answering)(&asked);
    tokio::time::sleep(after).await;
    book.now.fetch_sub(1, Ordering::SeqCst);
    let status = StatusCode::from_u16(status).unwrap();
    if status.is_success() {
        return status.into_response();
    }
    Problem::new(status, "as the test has it").into_response()
}
