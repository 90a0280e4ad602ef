//! The keys that sign tunings: made once, kept in a Secret of the operator's own namespace, and followed by new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use kube::{Client, ResourceExt as _};
use ordermill_config::{SigningKey, SigningKeyError, VerifyingKeys};

use crate::cluster::ApiError;
use crate::cluster::writer::{WRITE_TIMEOUT, timely};
use crate::labels::{MANAGED_BY, MANAGER};
use crate::leadership::Leadership;

/// The Secret.
pub const SECRET: &str = "ordermill-tuning-keys";
/// Keys that are kept: the newest, and those before it, which pods may hold alone until they have seen the newest.
const KEPT: usize = 3;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The Secret cannot be read or written.
    #[error("cannot {action} the Secret {SECRET}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// What the API server said.
        #[source]
        source: ApiError,
    },
    /// A key of the Secret is none.
    #[error(
        "the key {name} of the Secret {SECRET} cannot be used: delete the Secret to have new ones made"
    )]
    Unusable {
        /// Its name in the Secret.
        name: String,
        /// Why not.
        #[source]
        source: SigningKeyError,
    },
    /// No key can be made.
    #[error("no key can be made")]
    Make(#[source] SigningKeyError),
    /// This process does not lead, so it must not write.
    #[error("another operator leads")]
    NotLeading,
}

/// Keys, the newest first.
#[derive(Debug)]
pub struct Keys(Vec<(Timestamp, SigningKey)>);

impl Keys {
    /// Reads what the Secret holds: under `<seconds since 1970>.<key id>`, PKCS#8 each.
    fn read(data: &BTreeMap<String, ByteString>) -> Result<Self, KeyStoreError> {
        let mut keys = Vec::new();
        for (name, bytes) in data {
            let Some(made) = name.split_once('.').and_then(|(made, _)| made.parse().ok()) else {
                continue;
            };
            let made = Timestamp::from_second(made).unwrap_or(Timestamp::UNIX_EPOCH);
            let key = SigningKey::from_pkcs8(&bytes.0).map_err(|source| {
                let name = name.clone();
                KeyStoreError::Unusable { name, source }
            })?;
            keys.push((made, key));
        }
        keys.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
        Ok(Self(keys))
    }

    fn write(&self) -> BTreeMap<String, ByteString> {
        let entry = |(made, key): &(Timestamp, SigningKey)| {
            let name = format!("{}.{}", made.as_second(), key.key_id());
            (name, ByteString(key.to_pkcs8().to_owned()))
        };
        self.0.iter().map(entry).collect()
    }

    /// Whether a new one is due.
    fn is_due(&self, now: Timestamp, period: Duration) -> bool {
        let newest = self.0.first();
        newest.is_none_or(|(made, _)| now.duration_since(*made).unsigned_abs() >= period)
    }

    fn add(&mut self, key: SigningKey, now: Timestamp) {
        self.0.insert(0, (now, key));
        self.0.truncate(KEPT);
    }

    /// The public halves, which pods mount.
    #[must_use]
    pub fn verifying_keys(&self) -> VerifyingKeys {
        self.0.iter().map(|(_, key)| key.verifying_key()).collect()
    }

    /// The newest key that a pod knows.
    #[must_use]
    pub fn known_to(&self, pod_keys: &[String]) -> Option<&SigningKey> {
        let keys = self.0.iter().map(|(_, key)| key);
        let mut known = keys.filter(|key| pod_keys.contains(&key.key_id()));
        known.next()
    }
}

/// The keys as every reconcile sees them.
#[derive(Clone)]
pub struct KeyStore {
    api: Api<Secret>,
    namespace: String,
    period: Duration,
    leadership: Leadership,
    current: Arc<RwLock<Arc<Keys>>>,
}

impl KeyStore {
    /// A store in the operator's own namespace; a new key follows each `period`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, period: Duration, leadership: Leadership) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            period,
            leadership,
            current: Arc::new(RwLock::new(Arc::new(Keys(Vec::new())))),
        }
    }

    /// How long a key signs.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        let keys = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    /// Reads the Secret, and adds a key where one is due. Returns whether the keys have changed.
    ///
    /// # Errors
    /// When the Secret cannot be read, written or used.
    pub async fn refresh(&self, now: Timestamp) -> Result<bool, KeyStoreError> {
        let secret = request("read", self.api.get_opt(SECRET)).await?;
        let data = secret.as_ref().and_then(|secret| secret.data.clone());
        let mut keys = Keys::read(&data.unwrap_or_default())?;
        if keys.is_due(now, self.period) {
            keys.add(SigningKey::generate().map_err(KeyStoreError::Make)?, now);
            self.store(secret, &keys).await?;
            tracing::info!(secret = SECRET, "made a new key for signing tunings");
        }
        let changed = self.keys().verifying_keys() != keys.verifying_keys();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(changed)
    }

    async fn store(&self, there: Option<Secret>, keys: &Keys) -> Result<(), KeyStoreError> {
        if !self.leadership.holds_for(WRITE_TIMEOUT) {
            return Err(KeyStoreError::NotLeading);
        }
        let parameters = PostParams::default();
        if let Some(mut secret) = there {
            // With the version that was read: of two operators only one succeeds.
            secret.data = Some(keys.write());
            let name = secret.name_any();
            let replaced = self.api.replace(&name, &parameters, &secret);
            request("write", replaced).await?;
        } else {
            let metadata = ObjectMeta {
                name: Some(SECRET.to_owned()),
                namespace: Some(self.namespace.clone()),
                labels: Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into()),
                ..ObjectMeta::default()
            };
            let secret = Secret {
                metadata,
                data: Some(keys.write()),
                type_: Some("Opaque".to_owned()),
                ..Secret::default()
            };
            request("make", self.api.create(&parameters, &secret)).await?;
        }
        Ok(())
    }
}

async fn request<T>(
    action: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, KeyStoreError> {
    timely(WRITE_TIMEOUT, request)
        .await
        .map_err(|source| KeyStoreError::Api { action, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::api_server::{Answer, ApiServer};

    const DAY: Duration = Duration::from_hours(24);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn added(seconds: &[i64]) -> Keys {
        let mut keys = Keys(Vec::new());
        for second in seconds {
            keys.add(SigningKey::generate().unwrap(), at(*second));
        }
        keys
    }

    #[test]
    fn keys_read_back_in_their_order() {
        let keys = added(&[9, 10, 1000]);
        let read = Keys::read(&keys.write()).unwrap();
        let ids = |keys: &Keys| {
            keys.0
                .iter()
                .map(|(_, key)| key.key_id())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&read), ids(&keys));
    }

    #[test]
    fn a_new_key_is_due_after_the_period_and_old_ones_go() {
        let period = Duration::from_secs(100);
        assert!(added(&[]).is_due(at(0), period));
        assert!(!added(&[50]).is_due(at(149), period));
        assert!(added(&[50]).is_due(at(150), period));
        assert_eq!(added(&[1, 2, 3, 4]).0.len(), KEPT);
    }

    #[test]
    fn the_newest_key_that_a_pod_knows_signs() {
        let keys = added(&[1, 2]);
        let [new, old] = [0, 1].map(|place| keys.0[place].1.key_id());
        let known = |ids: &[&String]| {
            let ids: Vec<_> = ids.iter().map(|id| (*id).clone()).collect();
            keys.known_to(&ids).map(SigningKey::key_id)
        };
        assert_eq!(known(&[&old]), Some(old.clone()));
        assert_eq!(known(&[&old, &new]), Some(new));
        assert_eq!(known(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_operators_that_make_the_first_key_both_use_the_same() {
        let server = ApiServer::start(|_| None);
        let store = |leadership| KeyStore::new(server.client.clone(), "mill", DAY, leadership);
        let (first, second) = (store(Leadership::always()), store(Leadership::always()));
        assert!(first.refresh(Timestamp::now()).await.unwrap());
        assert!(second.refresh(Timestamp::now()).await.unwrap());
        assert_eq!(
            first.keys().verifying_keys(),
            second.keys().verifying_keys()
        );
        assert_eq!(server.take_writes(), ["POST mill/secrets"]);
        let follower = store(Leadership::default());
        follower.refresh(Timestamp::now()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_cannot_be_stored_is_not_used() {
        let server = ApiServer::start(|seen| {
            seen.is_write()
                .then(|| Answer::failure(409, "AlreadyExists", &serde_json::json!({})))
        });
        let store = KeyStore::new(server.client.clone(), "mill", DAY, Leadership::always());
        assert!(store.refresh(Timestamp::now()).await.is_err());
        assert!(store.keys().0.is_empty());
        let standing_by = KeyStore::new(server.client.clone(), "mill", DAY, Leadership::default());
        let error = standing_by.refresh(Timestamp::now()).await.unwrap_err();
        assert!(matches!(error, KeyStoreError::NotLeading), "{error:?}");
    }
}
