//! Every answer, through a real port.

use std::time::Duration;

use ordermill_config::{
    ResourceReference, SignedTuning, SigningKey, Tuning, TuningDocument, TuningVersion,
    VerifyingKeys,
};
use ordermill_crds::LogLevel;
use ordermill_crds::values::Fraction;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::state::Phase;
use crate::tuning::{KeysFile, TuningHandle};

const JSON: &str = "application/json";

fn document(generation: i64, revision: u32) -> TuningDocument {
    TuningDocument {
        uid: "uid-one".to_owned(),
        generation,
        revision,
        tuning: Tuning {
            paused: false,
            error_rate: Fraction::MINIMUM,
            log_level: LogLevel::Info,
            trace_sampling: Fraction::MAXIMUM,
            producer: None,
            consumer: None,
            worker: None,
            backend: None,
        },
    }
}

/// A workload's admin server, and the workload's part in tuning: to run with what it is given.
struct Server {
    address: SocketAddr,
    state: Arc<WorkloadState>,
    tuning: TuningHandle,
    key: SigningKey,
    folder: tempfile::TempDir,
    cancelled: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// One that runs with generation 5, revision 1, and believes one key.
    async fn start() -> Self {
        let server = Self::without_keys().await;
        server.believe(&[&server.key]);
        server.follow_tuning();
        server
    }

    /// One with no keys file yet, whose workload is too busy to be tuned.
    async fn without_keys() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pushes = |tuning: &TuningHandle| Pushes {
            tuning: tuning.clone(),
            keys: KeysFile::new(folder.path().join("tuning-keys.json")),
        };
        let resource = ResourceReference {
            kind: "OrderProducer".to_owned(),
            ..ResourceReference::default()
        };
        let (counters, health) = (Arc::default(), Arc::default());
        let state = WorkloadState::new(resource, "instance-one".to_owned(), counters, health);
        let state = Arc::new(state);
        let tuning = TuningHandle::new(document(5, 1));
        state.set_version(tuning.current().version());
        let cancelled = CancellationToken::new();
        let admin = AdminServer::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let address = admin.address();
        let pushes = Some(pushes(&tuning));
        let serving = tokio::spawn(admin.serve(state.clone(), pushes, cancelled.clone()));
        Self {
            address,
            state,
            tuning,
            key: SigningKey::generate().unwrap(),
            folder,
            cancelled,
            serving,
        }
    }

    fn believe(&self, keys: &[&SigningKey]) {
        let keys: VerifyingKeys = keys.iter().map(|key| key.verifying_key()).collect();
        let text = serde_json::to_string(&keys).unwrap();
        // Replaced at once, as a kubelet does.
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join("tuning-keys.json")).unwrap();
    }

    fn follow_tuning(&self) {
        let (mut changes, state) = (self.tuning.subscribe(), self.state.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                state.set_version(changes.borrow_and_update().version());
            }
        });
    }

    async fn exchange(&self, head: &str, body: &[u8]) -> Answer {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(body).await.unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        Answer::parse(&text)
    }

    async fn get(&self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n");
        self.exchange(&head, b"").await
    }

    async fn post(&self, content_type: &str, body: &[u8]) -> Answer {
        let head = post_head(content_type, body.len());
        self.exchange(&head, body).await
    }

    async fn push(&self, signed: &SignedTuning) -> Answer {
        self.post(JSON, &serde_json::to_vec(signed).unwrap()).await
    }

    async fn push_document(&self, document: &TuningDocument) -> Answer {
        self.push(&self.key.sign(document).unwrap()).await
    }

    fn running(&self) -> TuningVersion {
        self.tuning.current().version()
    }

    async fn stop(self) {
        self.cancelled.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

fn post_head(content_type: &str, length: usize) -> String {
    format!(
        "POST /tuning HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Sees that this is a problem document of this status that says so much.
    fn expect_problem(&self, status: u16, title: &str, says: &str) {
        let problem = self.json();
        assert_eq!((self.status, &problem["status"]), (status, &json!(status)));
        assert!(
            self.head.contains("content-type: application/problem+json"),
            "{}",
            self.head
        );
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], title);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    }
}

fn version(generation: i64, revision: u32) -> TuningVersion {
    TuningVersion {
        generation,
        revision,
    }
}

#[tokio::test]
async fn a_newer_tuning_is_taken_and_a_repeated_push_is_as_good() {
    let server = Server::start().await;
    for (generation, revision) in [(5, 2), (6, 0), (6, 0), (6, 1)] {
        let answer = server.push_document(&document(generation, revision)).await;
        let expected = json!({
            "generation": generation,
            "revision": revision,
            "instance": "instance-one",
        });
        assert_eq!((answer.status, answer.json()), (200, expected));
        assert_eq!(server.running(), version(generation, revision));
    }
    let state = server.get("/state").await.json();
    assert_eq!(
        (&state["generation"], &state["revision"]),
        (&json!(6), &json!(1))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_busy_workload_has_the_tuning_and_says_what_it_still_runs_with() {
    let server = Server::without_keys().await;
    server.believe(&[&server.key]);
    let answer = server.push_document(&document(6, 0)).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["generation"], 5);
    assert_eq!(server.running(), version(6, 0));
    server.stop().await;
}

#[tokio::test]
async fn an_older_tuning_conflicts_with_what_is_running() {
    let server = Server::start().await;
    for (generation, revision) in [(5, 0), (4, 9)] {
        let answer = server.push_document(&document(generation, revision)).await;
        answer.expect_problem(409, "Conflict", "is not newer than generation 5 revision 1");
        let problem = answer.json();
        assert_eq!(
            (&problem["generation"], &problem["revision"]),
            (&json!(5), &json!(1))
        );
    }
    assert_eq!(server.running(), version(5, 1));
    server.stop().await;
}

#[tokio::test]
async fn a_tuning_of_another_resource_is_not_taken() {
    let server = Server::start().await;
    let other = TuningDocument {
        uid: "uid-two".to_owned(),
        ..document(9, 0)
    };
    let answer = server.push_document(&other).await;
    answer.expect_problem(422, "Unprocessable Entity", "for another resource");
    assert_eq!(server.running(), version(5, 1));
    server.stop().await;
}

#[tokio::test]
async fn only_a_believed_key_tunes() {
    let server = Server::start().await;
    let stranger = SigningKey::generate().unwrap();
    let signed = stranger.sign(&document(6, 0)).unwrap();
    let answer = server.push(&signed).await;
    answer.expect_problem(401, "Unauthorized", &stranger.key_id());
    assert!(
        answer
            .head
            .contains("www-authenticate: ordermill-signature")
    );
    let renamed = SignedTuning {
        key_id: server.key.key_id(),
        ..signed
    };
    let answer = server.push(&renamed).await;
    answer.expect_problem(401, "Unauthorized", "the signature does not fit");
    let mut forged = server.key.sign(&document(6, 0)).unwrap();
    forged.document = forged
        .document
        .replace("\"errorRate\":0.0", "\"errorRate\":1.0");
    let answer = server.push(&forged).await;
    answer.expect_problem(401, "Unauthorized", "the signature does not fit");
    assert_eq!(server.running(), version(5, 1));
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_signed_tuning_is_told_apart() {
    let server = Server::start().await;
    for body in [&b""[..], b"{", b"[]", b"\xff", b"{\"document\": \"{}\"}"] {
        let answer = server.post(JSON, body).await;
        answer.expect_problem(400, "Bad Request", "the body is not a signed tuning: ");
    }
    let signed = server.key.sign(&document(6, 0)).unwrap();
    let body = serde_json::to_vec(&signed).unwrap();
    for kind in ["text/plain", "", "application/jsonp"] {
        let answer = server.post(kind, &body).await;
        answer.expect_problem(415, "Unsupported Media Type", "application/json");
    }
    let kind = "Application/JSON; charset=utf-8";
    assert_eq!(server.post(kind, &body).await.status, 200);
    assert_eq!(server.get("/tuning").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_not_read() {
    let server = Server::start().await;
    // The head alone says that it is too much.
    let answer = server.exchange(&post_head(JSON, BODY_LIMIT + 1), b"").await;
    answer.expect_problem(413, "Payload Too Large", "1048576 are the most");
    let endless = post_head(JSON, 0).replace("content-length: 0", "transfer-encoding: chunked");
    let chunk = format!("{:x}\r\n{}", BODY_LIMIT + 1, " ".repeat(BODY_LIMIT + 1));
    let answer = server.exchange(&endless, chunk.as_bytes()).await;
    answer.expect_problem(413, "Payload Too Large", "the body cannot be read");
    let fits = " ".repeat(BODY_LIMIT);
    let answer = server.post(JSON, fits.as_bytes()).await;
    answer.expect_problem(400, "Bad Request", "EOF");
    server.stop().await;
}

#[tokio::test]
async fn a_workload_without_a_keys_file_takes_no_push() {
    let server = Server::without_keys().await;
    let answer = server.push_document(&document(6, 0)).await;
    answer.expect_problem(404, "Not Found", "no file with the operator's keys");
    assert_eq!(server.get("/state").await.json().get("tuningKeys"), None);
    server.stop().await;
}

#[tokio::test]
async fn a_rotated_set_of_keys_is_shown_and_believed() {
    let server = Server::start().await;
    let shown = || async { server.get("/state").await.json()["tuningKeys"].clone() };
    assert_eq!(shown().await, json!([server.key.key_id()]));
    let new = SigningKey::generate().unwrap();
    server.believe(&[&server.key, &new]);
    let mut both = [server.key.key_id(), new.key_id()];
    both.sort();
    let rotated = async {
        while shown().await != json!(both) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), rotated)
        .await
        .unwrap();
    let answer = server.push(&new.sign(&document(6, 0)).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(server.push_document(&document(7, 0)).await.status, 200);
    server.believe(&[&new]);
    let retired = async {
        while server.push_document(&document(7, 0)).await.status != 401 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), retired)
        .await
        .unwrap();
    server.stop().await;
}

#[tokio::test]
async fn paused_and_completed_are_ready_and_starting_is_not() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez").await.status, 200);
    for (phase, status) in [
        (Phase::Starting, 503),
        (Phase::Running, 200),
        (Phase::Paused, 200),
        (Phase::Completed, 200),
        (Phase::Stopping, 503),
    ] {
        server.state.set_phase(phase);
        assert_eq!(server.get("/readyz").await.status, status, "{phase:?}");
        let state = server.get("/state").await.json();
        assert_eq!(state["state"], json!(format!("{phase:?}")));
    }
    server.stop().await;
}
