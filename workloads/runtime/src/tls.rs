//! TLS towards HTTP services.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};

/// Connects to `http` and `https` addresses, the latter by HTTP/1.1 and one of `roots`, or of the public authorities.
///
/// # Errors
/// Where the cryptographic library offers no safe version of TLS.
pub(crate) fn https_connector(
    roots: Option<RootCertStore>,
) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let public = || webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.unwrap_or_else(public))
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http();
    Ok(connector.enable_http1().build())
}
