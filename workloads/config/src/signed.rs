//! A tuning that is pushed: signed by the operator with Ed25519, verified by the pod, which holds public keys only.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{TuningDocument, hexadecimal};

/// What stands before a document in the signed bytes, so that a signature is good for nothing else.
const CONTEXT: &str = "ordermill.dev/tuning/v1\n";

/// A [`TuningDocument`] with a signature: what goes to a pod's `/tuning`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedTuning {
    /// The JSON text of the document, exactly as it was signed.
    pub document: String,
    /// Which key signed it.
    pub key_id: String,
    /// The signature in base64.
    pub signature: String,
}

/// Why a key cannot sign. The reason is not told: it could tell of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// The system gives no random numbers.
    #[error("no signing key can be made: the system gives no random numbers")]
    Generate,
    /// The bytes are no key.
    #[error("this is not an Ed25519 key in PKCS#8")]
    Pkcs8,
}

/// Why a document cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the tuning cannot be written as JSON")]
pub struct SignError(#[source] serde_json::Error);

/// The operator's private key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
    public: VerifyingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the private half may reach a log.
        formatter
            .debug_tuple("SigningKey")
            .field(&self.key_id())
            .finish()
    }
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Self, SigningKeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| SigningKeyError::Generate)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// The key of a PKCS#8 document (DER), with or without its public half.
    ///
    /// # Errors
    /// When the bytes are no such document.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map_err(|_| SigningKeyError::Pkcs8)?;
        let public = pair.public_key().as_ref();
        let public = public.try_into().map_err(|_| SigningKeyError::Pkcs8)?;
        Ok(Self {
            pair,
            pkcs8: pkcs8.to_owned(),
            public: VerifyingKey(public),
        })
    }

    /// The PKCS#8 document (DER) that the key came from: a secret.
    #[must_use]
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half.
    #[must_use]
    pub const fn verifying_key(&self) -> VerifyingKey {
        self.public
    }

    /// The name of the key, the same as that of its public half.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.public.key_id()
    }

    /// Signs a document.
    ///
    /// # Errors
    /// When the document cannot be written as JSON.
    pub fn sign(&self, document: &TuningDocument) -> Result<SignedTuning, SignError> {
        let document = serde_json::to_string(document).map_err(SignError)?;
        let signature = self.pair.sign(&signed_bytes(&document));
        Ok(SignedTuning {
            document,
            key_id: self.key_id(),
            signature: STANDARD.encode(signature),
        })
    }
}

/// The public half of a key that signs tunings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// The name of the key: the first 16 hexadecimal digits of the SHA-256 of its bytes.
    #[must_use]
    pub fn key_id(&self) -> String {
        hexadecimal(&Sha256::digest(self.0)[..8])
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for VerifyingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(&text).map_err(de::Error::custom)?;
        let key = bytes.try_into().map_err(|bytes: Vec<u8>| {
            let length = bytes.len();
            de::Error::custom(format!("an Ed25519 key has 32 bytes, this one {length}"))
        })?;
        Ok(Self(key))
    }
}

/// The keys whose tunings are taken: the content of a pod's [`KEYS_FILE`](crate::KEYS_FILE),
/// `{"keys": {"<id>": "<base64 of 32 bytes>"}}`. Each stands under its own name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "NamedKeys")]
pub struct VerifyingKeys {
    keys: BTreeMap<String, VerifyingKey>,
}

/// The same before the names are checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedKeys {
    keys: BTreeMap<String, VerifyingKey>,
}

impl TryFrom<NamedKeys> for VerifyingKeys {
    type Error = String;

    fn try_from(NamedKeys { keys }: NamedKeys) -> Result<Self, String> {
        let misnamed = keys.iter().find(|(name, key)| **name != key.key_id());
        match misnamed {
            None => Ok(Self { keys }),
            Some((name, key)) => Err(format!("the key under {name:?} is {}", key.key_id())),
        }
    }
}

impl FromIterator<VerifyingKey> for VerifyingKeys {
    fn from_iter<T: IntoIterator<Item = VerifyingKey>>(keys: T) -> Self {
        let named = keys.into_iter().map(|key| (key.key_id(), key));
        Self {
            keys: named.collect(),
        }
    }
}

/// Why a signed document is not believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No key of this name is among those that are believed.
    #[error("the key {key_id:?} is unknown")]
    UnknownKey {
        /// The name.
        key_id: String,
    },
    /// The signature is not that of this document by this key.
    #[error("the signature does not fit the document and the key {key_id:?}")]
    BadSignature {
        /// The key's name.
        key_id: String,
    },
    /// The document is signed and is no tuning.
    #[error("what is signed is not a tuning document")]
    Malformed(#[source] serde_json::Error),
}

impl VerifyingKeys {
    /// The names of the keys, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Whether a key of this name is among them.
    #[must_use]
    pub fn contains(&self, key_id: &str) -> bool {
        self.keys.contains_key(key_id)
    }

    /// The document, if one of these keys signed it.
    ///
    /// Whether it is for the right resource, and newer than what is running, is another question.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(&self, signed: &SignedTuning) -> Result<TuningDocument, VerifyError> {
        let key_id = || signed.key_id.clone();
        let key = self.keys.get(&signed.key_id);
        let key = key.ok_or_else(|| VerifyError::UnknownKey { key_id: key_id() })?;
        let refuse = || VerifyError::BadSignature { key_id: key_id() };
        let signature = STANDARD.decode(&signed.signature).map_err(|_| refuse())?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&signed_bytes(&signed.document), &signature)
            .map_err(|_| refuse())?;
        serde_json::from_str(&signed.document).map_err(VerifyError::Malformed)
    }
}

fn signed_bytes(document: &str) -> Vec<u8> {
    [CONTEXT, document].concat().into_bytes()
}

#[cfg(test)]
mod tests;
