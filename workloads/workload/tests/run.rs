//! `ordermill-workload run`, as a pod runs it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ordermill_config::{
    BackendRole, Documents, KEYS_FILE, KafkaConnection, Placement, ResourceReference, SigningKey,
    TUNING_FILE, TelemetrySettings, VerifyingKeys, WORKLOAD_FILE, backend_documents,
    consumer_documents, producer_documents, worker_documents,
};
use serde::Serialize;
use serde_json::Value;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn placement(kind: &str, generation: i64) -> Placement {
    Placement {
        resource: ResourceReference {
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: "one".to_owned(),
            uid: "uid-one".to_owned(),
        },
        generation,
        revision: 0,
        // Nobody listens there: a workload that cannot reach Kafka is tuned all the same.
        kafka: Some(KafkaConnection::plain("127.0.0.1:1".parse().unwrap())),
        telemetry: TelemetrySettings {
            service_name: "one".to_owned(),
            ..TelemetrySettings::default()
        },
        create_topics: true,
        backends: [(BackendRole::Order, "http://order:5000".to_owned())].into(),
    }
}

fn producer(spec: &str, generation: i64) -> Documents {
    let spec = serde_yaml::from_str(spec).unwrap();
    producer_documents(&spec, placement("OrderProducer", generation))
}

fn write(folder: &Path, file: &str, content: &impl Serialize) {
    let text = serde_json::to_string(content).unwrap();
    std::fs::write(folder.join(file), text).unwrap();
}

fn save(folder: &Path, documents: &Documents) {
    write(folder, WORKLOAD_FILE, &documents.workload);
    write(folder, TUNING_FILE, &documents.tuning);
}

fn run(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordermill-workload"));
    command.args(["run", "--config"]).arg(folder).env_clear();
    command
}

#[test]
fn what_it_cannot_run_yet_is_refused_by_name() {
    let consumer = serde_yaml::from_str("{handler: Inventory}").unwrap();
    let worker = serde_yaml::from_str("{task: DataCleanup}").unwrap();
    let backend = serde_yaml::from_str("{app: Customer}").unwrap();
    for (name, documents) in [
        (
            "StreamConsumer with handler Inventory",
            consumer_documents(&consumer, placement("StreamConsumer", 1)),
        ),
        (
            "Worker with task DataCleanup",
            worker_documents(&worker, placement("Worker", 1)),
        ),
        (
            "Backend with app Customer",
            backend_documents(&backend, placement("Backend", 1)),
        ),
        (
            "OrderProducer with drinkOrder.backend",
            producer("{model: DrinkOrder, drinkOrder: {backend: order}}", 1),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &documents);
        let output = run(folder.path()).output().unwrap();
        assert!(!output.status.success(), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("error: this version runs no {name} yet\n"));
    }
}

/// A process that ends with the test.
struct Running {
    child: Child,
    lines: Receiver<Value>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = run(folder).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    /// The next line with such a message.
    fn line(&self, message: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line says {message:?}");
            };
            if line["message"].as_str().unwrap().contains(message) {
                return line;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn exchange(address: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut connection = TcpStream::connect(address).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn a_signed_push_tunes_the_process_and_an_older_file_does_not_take_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate().unwrap();
    save(folder.path(), &producer("{model: WoodOrder}", 3));
    let keys: VerifyingKeys = [key.verifying_key()].into_iter().collect();
    write(folder.path(), KEYS_FILE, &keys);

    let running = Running::start(folder.path());
    let address = running.line("the admin server listens")["address"].clone();
    let address = address.as_str().unwrap();
    let (_, state) = exchange(address, "GET", "/state", "");
    assert_eq!(state["tuningKeys"], serde_json::json!([key.key_id()]));
    assert_eq!(state["generation"], 3);

    let pushed = producer("{model: WoodOrder, errorRate: 0.75}", 5).tuning;
    let push = serde_json::to_string(&key.sign(&pushed).unwrap()).unwrap();
    let (status, answer) = exchange(address, "POST", "/tuning", &push);
    assert!(matches!(status, 200 | 202), "{status}: {answer}");
    let taken = running.line("a pushed tuning is taken");
    assert_eq!(taken["generation"], 5);
    assert_eq!(
        (&taken["kind"], &taken["name"]),
        (&"OrderProducer".into(), &"one".into())
    );
    // Whether it still began with the older one depends on how far its start was.
    let end = Instant::now() + PATIENCE;
    while exchange(address, "GET", "/state", "").1["generation"] != 5 {
        assert!(Instant::now() < end, "generation 5 does not come");
        thread::sleep(Duration::from_millis(50));
    }

    // The file of the edit between is late: what runs is newer. One that is newer still counts.
    save(
        folder.path(),
        &producer("{model: WoodOrder, errorRate: 0.5}", 4),
    );
    let (status, _) = exchange(address, "POST", "/tuning", &push);
    assert_eq!(status, 200);
    save(
        folder.path(),
        &producer("{model: WoodOrder, errorRate: 0.25}", 6),
    );
    running.line("tuned: errorRate 0.75 → 0.25");
    let (status, problem) = exchange(address, "POST", "/tuning", &push);
    assert_eq!((status, &problem["generation"]), (409, &6.into()));
    let refused = running.line("a pushed tuning is refused");
    assert_eq!(refused["level"], "WARN");
}
