//! The certificate authorities that Mozilla trusts, as a PEM bundle.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// All of them, in the order of the crate, 64 characters to a line.
#[must_use]
pub fn bundle() -> String {
    let mut text = String::new();
    for certificate in TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for (index, character) in STANDARD.encode(certificate).chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                text.push('\n');
            }
            text.push(character);
        }
        text.push_str("\n-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authority_is_in_the_bundle_in_lines_that_openssl_reads() {
        let bundle = bundle();
        assert!(TLS_SERVER_ROOT_CERTS.len() > 100);
        let read: Vec<Vec<u8>> = bundle
            .split_terminator("-----END CERTIFICATE-----\n")
            .map(|block| {
                let body = block.strip_prefix("-----BEGIN CERTIFICATE-----\n").unwrap();
                STANDARD.decode(body.replace('\n', "")).unwrap()
            })
            .collect();
        let expected: Vec<Vec<u8>> = TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        assert_eq!(read, expected);
        // OpenSSL refuses lines of more than 76 characters and empty ones.
        assert!(bundle.lines().all(|line| (1..=64).contains(&line.len())));
    }
}
