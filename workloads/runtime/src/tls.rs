//! TLS towards HTTP services.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};

/// How long an address may take to accept a connection: a first packet that is lost is sent once more meanwhile.
const CONNECT: Duration = Duration::from_secs(2);

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
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http();
    Ok(connector.enable_http1().wrap_connector(tcp))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use http_body_util::Empty;
    use hyper::body::Bytes;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn an_address_that_answers_nothing_cannot_be_reached() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // Once as many wait as may, the system drops what comes.
        let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let waiting: Vec<_> = std::iter::from_fn(|| fill().ok()).take(100).collect();
        assert!(waiting.len() < 100);
        let client = Client::builder(TokioExecutor::new())
            .build::<_, Empty<Bytes>>(https_connector(None).unwrap());
        let uri = format!("http://{address}/").parse().unwrap();
        let answer = tokio::time::timeout(CONNECT * 10, client.get(uri)).await;
        assert!(answer.unwrap().unwrap_err().is_connect());
    }
}
