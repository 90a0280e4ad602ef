//! The OTLP exporters: gRPC or HTTP, plain or TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::{Connected, capture_connection};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, RetryPolicy, SpanExporter,
    WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use ordermill_crds::OtlpProtocol;
use ordermill_crds::values::TelemetryEndpoint;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::NetworkCause;
use super::watched::EXPORT_TIMEOUT;
use crate::tls::https_connector;
use ordermill_config::full_error;

/// Attempts after the first, within [`EXPORT_TIMEOUT`]: enough for a connection that was closed while idle.
const RETRIES: usize = 2;

/// Where and how OTLP goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpTarget {
    /// Base URL; over HTTP the signal's path (`/v1/traces` …) is added to it.
    pub endpoint: TelemetryEndpoint,
    /// gRPC or HTTP.
    pub protocol: OtlpProtocol,
    /// File of PEM certificates to trust for an `https` endpoint, instead of the public authorities.
    pub certificate: Option<PathBuf>,
}

/// The three exporters to one target.
#[derive(Debug)]
pub(in super::super) struct Exporters<S, M, L> {
    pub(in super::super) spans: S,
    pub(in super::super) metrics: M,
    pub(in super::super) logs: L,
    /// What the HTTP client says of failures that the exporters keep to themselves.
    pub(in super::super) network_cause: Arc<NetworkCause>,
}

/// Why there can be no exporter.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The file of trusted certificates cannot be read.
    #[error("cannot read the trusted certificates in {path}")]
    ReadCertificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file of trusted certificates holds something else.
    #[error("{path} does not hold PEM certificates")]
    ParseCertificate {
        /// The file.
        path: PathBuf,
        /// Why not; none when it holds no certificate at all.
        #[source]
        source: Option<rustls::pki_types::pem::Error>,
    },
    /// A certificate of that file cannot be trusted, or TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The exporter refused its settings.
    #[error("the OTLP exporter cannot be set up")]
    Build(#[source] ExporterBuildError),
}

/// Builds the exporters; connections are made lazily. It must be called inside a tokio runtime.
pub(in super::super) fn build(
    target: &OtlpTarget,
) -> Result<Exporters<SpanExporter, MetricExporter, LogExporter>, ExporterError> {
    let certificate = target
        .certificate
        .as_deref()
        .map(read_certificate)
        .transpose()?;
    match target.protocol {
        OtlpProtocol::Grpc => build_grpc(target, certificate),
        OtlpProtocol::HttpProtobuf => build_http(target, certificate),
    }
}

fn build_grpc(
    target: &OtlpTarget,
    certificate: Option<TrustedCertificates>,
) -> Result<Exporters<SpanExporter, MetricExporter, LogExporter>, ExporterError> {
    let endpoint = target.endpoint.as_str();
    let tls = endpoint.starts_with("https://").then(|| match certificate {
        Some(trusted) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trusted.pem)),
        None => ClientTlsConfig::new().with_webpki_roots(),
    });
    Ok(Exporters {
        spans: configure_grpc(SpanExporter::builder().with_tonic(), endpoint, tls.clone())
            .build()
            .map_err(ExporterError::Build)?,
        metrics: configure_grpc(
            MetricExporter::builder().with_tonic(),
            endpoint,
            tls.clone(),
        )
        .build()
        .map_err(ExporterError::Build)?,
        logs: configure_grpc(LogExporter::builder().with_tonic(), endpoint, tls)
            .build()
            .map_err(ExporterError::Build)?,
        network_cause: Arc::default(),
    })
}

fn configure_grpc<B>(builder: B, endpoint: &str, tls: Option<ClientTlsConfig>) -> B
where
    B: WithExportConfig + WithTonicConfig,
{
    let builder = builder
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .with_retry_policy(RetryPolicy::recommended().with_max_retries(RETRIES));
    match tls {
        Some(tls) => builder.with_tls_config(tls),
        None => builder,
    }
}

fn build_http(
    target: &OtlpTarget,
    certificate: Option<TrustedCertificates>,
) -> Result<Exporters<SpanExporter, MetricExporter, LogExporter>, ExporterError> {
    let base = target.endpoint.as_str().trim_end_matches('/');
    let network_cause = Arc::default();
    let client = http_client(certificate, Arc::clone(&network_cause))?;
    Ok(Exporters {
        spans: configure_http(SpanExporter::builder().with_http(), base, "traces", &client)
            .build()
            .map_err(ExporterError::Build)?,
        metrics: configure_http(
            MetricExporter::builder().with_http(),
            base,
            "metrics",
            &client,
        )
        .build()
        .map_err(ExporterError::Build)?,
        logs: configure_http(LogExporter::builder().with_http(), base, "logs", &client)
            .build()
            .map_err(ExporterError::Build)?,
        network_cause,
    })
}

fn configure_http<B>(
    builder: B,
    base: &str,
    signal: &str,
    client: &(impl HttpClient + Clone + 'static),
) -> B
where
    B: WithExportConfig + WithHttpConfig,
{
    builder
        .with_endpoint(format!("{base}/v1/{signal}"))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(EXPORT_TIMEOUT)
        .with_http_client(client.clone())
        .with_retry_policy(RetryPolicy::recommended().with_max_retries(RETRIES))
}

fn http_client(
    certificate: Option<TrustedCertificates>,
    network_cause: Arc<NetworkCause>,
) -> Result<impl HttpClient + Clone + 'static, ExporterError> {
    let connector =
        https_connector(certificate.map(|trusted| trusted.roots)).map_err(ExporterError::Tls)?;
    let client = HyperClient::new(connector, EXPORT_TIMEOUT, None);
    Ok(TellingClient {
        client,
        network_cause,
    })
}

/// Keeps why a request failed.
#[derive(Debug, Clone)]
struct TellingClient<C> {
    client: C,
    network_cause: Arc<NetworkCause>,
}

#[async_trait]
impl<C: HttpClient> HttpClient for TellingClient<C> {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let connection = capture_connection(&mut request);
        let result = self.client.send_bytes(request).await;
        match &result {
            Ok(response) if response.status().is_success() => {}
            // It may not be the collector that answers, and the connection would lead to the same one again.
            Ok(_) => {
                connection
                    .connection_metadata()
                    .as_ref()
                    .map(Connected::poison);
            }
            Err(error) => self.network_cause.set(full_error(error.as_ref())),
        }
        result
    }
}

/// Certificates that were read and found to be some.
struct TrustedCertificates {
    pem: Vec<u8>,
    roots: RootCertStore,
}

fn read_certificate(path: &Path) -> Result<TrustedCertificates, ExporterError> {
    let pem = std::fs::read(path).map_err(|source| ExporterError::ReadCertificate {
        path: path.to_owned(),
        source,
    })?;
    let refused = |source| ExporterError::ParseCertificate {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refused(Some(error)))?;
        roots.add(certificate).map_err(ExporterError::Tls)?;
    }
    if roots.is_empty() {
        return Err(refused(None));
    }
    Ok(TrustedCertificates { pem, roots })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::OnceLock;

    use axum::extract::ConnectInfo;
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_led_to_something_else_is_left() {
        let first = Arc::new(OnceLock::new());
        let answer = async move |ConnectInfo(caller): ConnectInfo<SocketAddr>| {
            if *first.get_or_init(|| caller) == caller {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::OK
            }
        };
        let router = axum::Router::new().fallback(answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, router).await });
        let client = http_client(None, Arc::default()).unwrap();
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let request = Request::post(format!("http://{address}/v1/logs"));
            let answer = client.send_bytes(request.body(Bytes::new()).unwrap());
            statuses.push(answer.await.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [404, 200, 200]);
    }
}
