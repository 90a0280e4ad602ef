//! Over OTLP, against collectors on this machine: absent, refusing, working, and behind TLS.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use ordermill_crds::OtlpProtocol;
use rcgen::{CertifiedKey, KeyPair};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::*;

fn settings(
    endpoint: &str,
    protocol: OtlpProtocol,
    certificate: Option<PathBuf>,
) -> TelemetrySettings {
    let endpoint = endpoint.parse().unwrap();
    TelemetrySettings {
        target: Some(OtlpTarget {
            endpoint,
            protocol,
            certificate,
        }),
        ..TelemetrySettings::new("workload")
    }
}

/// One of each signal.
fn report(telemetry: &Telemetry) {
    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Ok));
    telemetry.log().in_scope(|| tracing::info!("said"));
}

async fn drops_into_nowhere(protocol: OtlpProtocol, name: &str) {
    // A port that was free a moment ago: nobody listens.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = settings(&format!("http://{address}"), protocol, None);
    let telemetry = Telemetry::start(&settings, log(name)).unwrap();
    (0..5).for_each(|_| report(&telemetry));
    let lost = telemetry.shutdown(PLENTY).await;
    assert_eq!((lost.spans, lost.log_records), (5, 5));
    // The events that went well, the planned rate, and what was dropped of three signals.
    assert_eq!(lost.metric_points, 5);

    let lines = lines_of(name);
    let warnings = lines
        .iter()
        .filter(|line| line["level"] == "WARN")
        .collect::<Vec<_>>();
    assert_eq!(warnings.len(), 1, "{lines:#?}");
    let cause = warnings[0]["cause"].as_str().unwrap();
    assert!(cause.contains("Connection refused"), "{cause}");
    assert_eq!(lines.len(), 6, "{lines:#?}");
}

#[tokio::test]
async fn an_unreachable_collector_over_grpc_is_told_once_and_counted() {
    drops_into_nowhere(OtlpProtocol::Grpc, "nowhere-grpc").await;
}

#[tokio::test]
async fn an_unreachable_collector_over_http_is_told_once_and_counted() {
    drops_into_nowhere(OtlpProtocol::HttpProtobuf, "nowhere-http").await;
}

/// Counts what it is sent, by path or service, unless it refuses.
#[derive(Debug, Default)]
struct Collector {
    refuses: AtomicBool,
    seen: Mutex<BTreeMap<String, usize>>,
}

impl Collector {
    /// Speaks OTLP over HTTP.
    async fn serve_http(self: Arc<Self>) -> SocketAddr {
        async fn take(State(collector): State<Arc<Collector>>, uri: Uri) -> StatusCode {
            collector
                .count(uri.path())
                .map_or(StatusCode::BAD_REQUEST, |()| StatusCode::OK)
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(take).with_state(self);
        tokio::spawn(async { axum::serve(listener, router).await });
        address
    }

    /// Speaks OTLP over gRPC, behind TLS where there is a certificate.
    async fn serve_grpc(self: Arc<Self>, tls: Option<&CertifiedKey<KeyPair>>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("localhost:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Server::builder();
        if let Some(signed) = tls {
            let identity =
                Identity::from_pem(signed.cert.pem(), signed.signing_key.serialize_pem());
            server = server
                .tls_config(ServerTlsConfig::new().identity(identity))
                .unwrap();
        }
        let router = server
            .add_service(TraceServiceServer::from_arc(Arc::clone(&self)))
            .add_service(MetricsServiceServer::from_arc(Arc::clone(&self)))
            .add_service(LogsServiceServer::from_arc(self));
        tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        address
    }

    fn count(&self, what: &str) -> Result<(), Status> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Status::invalid_argument("refused"));
        }
        *self
            .seen
            .lock()
            .unwrap()
            .entry(what.to_owned())
            .or_default() += 1;
        Ok(())
    }

    fn assert_seen(&self, expected: [&str; 3]) {
        let expected = expected.map(|what| (what.to_owned(), 1));
        assert_eq!(*self.seen.lock().unwrap(), BTreeMap::from(expected));
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.count("traces")
            .map(|()| Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.count("metrics")
            .map(|()| Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.count("logs")
            .map(|()| Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tokio::test]
async fn all_signals_reach_a_collector_over_grpc() {
    let collector = Arc::new(Collector::default());
    let address = Arc::clone(&collector).serve_grpc(None).await;
    let endpoint = format!("http://{address}");
    let telemetry =
        Telemetry::start(&settings(&endpoint, OtlpProtocol::Grpc, None), log("grpc")).unwrap();
    report(&telemetry);
    assert!(telemetry.shutdown(PLENTY).await.is_nothing());
    collector.assert_seen(["traces", "metrics", "logs"]);
    assert_eq!(lines_of("grpc").len(), 1);
}

#[tokio::test]
async fn all_signals_reach_a_collector_over_http_and_its_return_is_told() {
    let collector = Arc::new(Collector::default());
    collector.refuses.store(true, Ordering::Relaxed);
    let address = Arc::clone(&collector).serve_http().await;
    // The path of a base URL is kept, whether or not it ends in a slash.
    let endpoint = format!("http://{address}/otlp/");
    let settings = settings(&endpoint, OtlpProtocol::HttpProtobuf, None);
    let telemetry = Telemetry::start(&settings, log("returns")).unwrap();
    let told = |level: &str| {
        lines_of("returns")
            .iter()
            .filter(|it| it["level"] == level)
            .count()
    };

    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Ok));
    eventually(|| told("WARN") == 1 && telemetry.not_delivered().spans == 1).await;
    collector.refuses.store(false, Ordering::Relaxed);
    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Ok));
    eventually(|| told("INFO") == 1).await;
    telemetry.log().in_scope(|| tracing::error!("said"));
    let lost = telemetry.shutdown(PLENTY).await;

    assert_eq!(
        (lost.spans, lost.log_records, lost.metric_points),
        (1, 0, 0)
    );
    collector.assert_seen(["/otlp/v1/logs", "/otlp/v1/metrics", "/otlp/v1/traces"]);
    assert_eq!((told("WARN"), told("INFO")), (1, 1));
}

/// A certificate for `localhost` that nobody else vouches for, and the file that says to trust it.
fn self_signed() -> (CertifiedKey<KeyPair>, tempfile::TempDir, PathBuf) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, signed.cert.pem()).unwrap();
    (signed, folder, file)
}

/// Exports one span with and without trust in `file`.
async fn trust_decides(protocol: OtlpProtocol, port: u16, file: PathBuf, name: &str) {
    let endpoint = format!("https://localhost:{port}");
    for (trusted, lost) in [(Some(file), 0), (None, 1)] {
        let settings = settings(&endpoint, protocol, trusted);
        let telemetry = Telemetry::start(&settings, log(&format!("{name}-{lost}"))).unwrap();
        telemetry
            .spans()
            .record(span(telemetry.new_trace(), Outcome::Ok));
        assert_eq!(telemetry.shutdown(PLENTY).await.spans, lost);
    }
    let cause = lines_of(&format!("{name}-1"))[0]["cause"].to_string();
    assert!(cause.contains("invalid peer certificate"), "{cause}");
}

#[tokio::test]
async fn a_private_authority_is_trusted_over_grpc_when_it_is_given_and_only_then() {
    let (signed, _folder, file) = self_signed();
    let address = Arc::new(Collector::default())
        .serve_grpc(Some(&signed))
        .await;
    trust_decides(OtlpProtocol::Grpc, address.port(), file, "tls-grpc").await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_over_http_when_it_is_given_and_only_then() {
    let (signed, _folder, file) = self_signed();
    let address = serve_http_over_tls(&signed);
    trust_decides(OtlpProtocol::HttpProtobuf, address.port(), file, "tls-http").await;
}
/// Answers every connection over TLS with an empty 200.
fn serve_http_over_tls(signed: &CertifiedKey<KeyPair>) -> SocketAddr {
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, socket.unwrap());
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            // A client that refuses the certificate closes the connection: that is its test.
            _ = stream
                .read(&mut [0; 16384])
                .and_then(|_| stream.write_all(answer));
            stream.conn.send_close_notify();
            _ = stream.flush();
        }
    });
    address
}

#[tokio::test]
async fn certificates_that_are_none_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let missing = folder.path().join("missing.pem");
    for protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf] {
        let start = |certificate: Option<PathBuf>| {
            let settings = settings("https://localhost:1", protocol, certificate);
            Telemetry::start(&settings, log("certificates"))
        };
        assert!(start(None).is_ok());
        for (path, words) in [(&empty, "does not hold"), (&missing, "cannot read")] {
            let error = start(Some(path.clone())).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(words), "{source}");
        }
    }
}
