//! Certificate authorities and what they sign, for brokers and clients of one test.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// Clocks of two machines may differ; ours begin to hold earlier than they are made.
const BEFORE: Duration = Duration::from_mins(5);

/// Why a certificate was not made or not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was refused by the maker.
    #[error("a certificate for {name} cannot be made")]
    Make {
        /// Whose.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A certificate authority that exists for one test.
pub struct Authority {
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both as PEM; the key is PKCS#8.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Where the files of a client are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authority that the broker's certificate is checked against, `ca.crt`.
    pub authority: PathBuf,
    /// The client's certificate, `user.crt`.
    pub certificate: PathBuf,
    /// The client's private key, `user.key`.
    pub key: PathBuf,
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: SystemTime,
    until: SystemTime,
}

impl Validity {
    /// From now on for `duration`.
    #[must_use]
    pub fn lasting(duration: Duration) -> Self {
        let now = SystemTime::now();
        Self {
            from: now - BEFORE,
            until: now + duration,
        }
    }

    /// Until a moment ago.
    #[must_use]
    pub fn expired() -> Self {
        let now = SystemTime::now();
        Self {
            from: now - 2 * BEFORE,
            until: now - BEFORE,
        }
    }
}

impl Default for Validity {
    /// A day: longer than any test.
    fn default() -> Self {
        Self::lasting(Duration::from_hours(24))
    }
}

impl Authority {
    /// A new authority with a key of its own; two of the same `name` are strangers to each other.
    ///
    /// # Errors
    /// [`Error::Make`].
    pub fn new(name: &str) -> Result<Self, Error> {
        let make = || {
            let mut params = params_for(name, Validity::default());
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            CertifiedIssuer::self_signed(params, KeyPair::generate()?)
        };
        let issuer = make().map_err(|source| Error::Make {
            name: name.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            issuer,
        })
    }

    /// Its own certificate as PEM: what others are given to trust it.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A server's identity, for `localhost` and the loopback addresses.
    ///
    /// # Errors
    /// [`Error::Make`].
    pub fn server(&self) -> Result<Identity, Error> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let server = CertificateParams::new(names).map_err(|source| Error::Make {
            name: "localhost".to_owned(),
            source,
        })?;
        let mut params = params_for("localhost", Validity::default());
        params.subject_alt_names = server.subject_alt_names;
        self.sign("localhost", params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// The identity of a client, whom brokers of this harness call `User:{name}`. Each call makes a new key, so a second
    /// one renews the first.
    ///
    /// # Errors
    /// [`Error::Make`].
    pub fn client(&self, name: &str) -> Result<Identity, Error> {
        self.client_valid(name, Validity::default())
    }

    /// Like [`client`](Self::client), with a validity of choice.
    ///
    /// # Errors
    /// [`Error::Make`].
    pub fn client_valid(&self, name: &str, validity: Validity) -> Result<Identity, Error> {
        self.sign(
            name,
            params_for(name, validity),
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    /// Writes what a client needs into `folder`, which may hold an older set: `ca.crt` of this authority, and `user.crt` and
    /// `user.key` of `client`, each replaced in one step.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_client(&self, client: &Identity, folder: &Path) -> Result<ClientFiles, Error> {
        let write = |name: &str, content: &str| {
            let path = folder.join(name);
            replace(&path, content)?;
            Ok(path)
        };
        Ok(ClientFiles {
            authority: write("ca.crt", &self.certificate())?,
            certificate: write("user.crt", &client.certificate)?,
            key: write("user.key", &client.key)?,
        })
    }

    fn sign(
        &self,
        name: &str,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let sign = || {
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok(Identity {
                certificate: certificate.pem(),
                key: key.serialize_pem(),
            })
        };
        sign().map_err(|source| Error::Make {
            name: name.to_owned(),
            source,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authority")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Key and certificate in one text, as Kafka's PEM key stores hold them.
    pub(crate) fn key_store(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

fn params_for(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = validity.from.into();
    params.not_after = validity.until.into();
    params
}

/// Writes a file beside `path` and renames it, so that a reader sees the old or the new content, never half.
pub(crate) fn replace(path: &Path, content: &str) -> Result<(), Error> {
    let draft = path.with_extension("draft");
    fs::write(&draft, content)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_client_has_another_key() {
        let authority = Authority::new("test").unwrap();
        let (first, second) = (
            authority.client("alice").unwrap(),
            authority.client("alice").unwrap(),
        );
        assert_ne!(first.key, second.key);
        assert_ne!(first.certificate, second.certificate);
    }

    #[test]
    fn client_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("test").unwrap();
        let old = authority.client("alice").unwrap();
        let new = authority.client("alice").unwrap();
        let before = authority.write_client(&old, folder.path()).unwrap();
        let after = authority.write_client(&new, folder.path()).unwrap();
        assert_eq!(before, after);
        assert_eq!(fs::read_to_string(after.key).unwrap(), new.key);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            3,
            "no drafts are left"
        );
    }
}
