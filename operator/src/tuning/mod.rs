//! Live tuning: the document reaches running pods at once, signed; and what the pods tell back.
//!
//! The `ConfigMap` is the truth that a pod starts from and falls back to. A push saves it the wait for its kubelet; where a
//! push cannot reach, the pod is marked, which makes the kubelet look at once.

mod client;
mod deliver;
mod keys;

pub use self::client::{PodClient, PodError};
pub use self::deliver::{Delivery, Order, PodReport};
pub use self::keys::{KeyStore, KeyStoreError, Keys};

use ordermill_config::{TuningDocument, TuningVersion};

/// How far a tuning has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tuned {
    /// There is no pod to take it.
    NoPods,
    /// Every pod runs with it.
    Applied {
        /// Its generation.
        generation: i64,
    },
    /// Some pods run with an older one.
    Applying {
        /// Pods that run with it.
        applied: usize,
        /// All pods.
        pods: usize,
    },
    /// Some pods do not tell.
    Unknown {
        /// Their number.
        silent: usize,
        /// Why the first of them does not.
        why: String,
    },
}

/// How far a document has come, by what the pods tell.
#[must_use]
pub fn tuned(document: &TuningDocument, pods: &[PodReport]) -> Tuned {
    if pods.is_empty() {
        return Tuned::NoPods;
    }
    let runs_with_it = |pod: &PodReport| pod.version().is_some_and(|it| it >= document.version());
    let applied = pods.iter().filter(|pod| runs_with_it(pod)).count();
    if applied == pods.len() {
        return Tuned::Applied {
            generation: document.generation,
        };
    }
    let is_silent = |pod: &&PodReport| pod.version().is_none() && !pod.is_starting;
    let silent: Vec<_> = pods.iter().filter(is_silent).collect();
    match silent.first() {
        Some(first) => Tuned::Unknown {
            silent: silent.len(),
            why: first.error.clone().unwrap_or_default(),
        },
        None => Tuned::Applying {
            applied,
            pods: pods.len(),
        },
    }
}

/// The mark of a nudged pod.
#[must_use]
pub fn mark(version: TuningVersion) -> String {
    format!("{}.{}", version.generation, version.revision)
}

#[cfg(test)]
mod tests {
    use ordermill_config::StateReport;

    use super::*;

    fn pod(version: Option<(i64, u32)>) -> PodReport {
        PodReport {
            name: "a".to_owned(),
            state: version.map(|(generation, revision)| StateReport {
                generation,
                revision,
                ..StateReport::default()
            }),
            error: version.is_none().then(|| "refused".to_owned()),
            is_starting: false,
        }
    }

    fn document() -> TuningDocument {
        serde_json::from_value(serde_json::json!({
            "uid": "u", "generation": 5, "revision": 1,
            "tuning": {"paused": false, "errorRate": 0.0, "logLevel": "Info", "traceSampling": 1.0}
        }))
        .unwrap()
    }

    fn of(pods: &[Option<(i64, u32)>]) -> Tuned {
        let pods: Vec<_> = pods.iter().map(|version| pod(*version)).collect();
        tuned(&document(), &pods)
    }

    #[test]
    fn it_is_applied_only_when_every_pod_says_so() {
        assert_eq!(of(&[]), Tuned::NoPods);
        assert_eq!(
            of(&[Some((5, 1)), Some((6, 0))]),
            Tuned::Applied { generation: 5 }
        );
        assert_eq!(
            of(&[Some((5, 1)), Some((5, 0))]),
            Tuned::Applying {
                applied: 1,
                pods: 2
            }
        );
        assert_eq!(
            of(&[Some((5, 1)), None, Some((4, 9))]),
            Tuned::Unknown {
                silent: 1,
                why: "refused".to_owned()
            }
        );
        let starting = PodReport {
            is_starting: true,
            ..pod(None)
        };
        assert_eq!(
            tuned(&document(), &[starting]),
            Tuned::Applying {
                applied: 0,
                pods: 1
            }
        );
    }
}
