//! Takes the Lease, keeps it, and gives it back.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use ordermill_config::full_error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::ApiError;
use crate::cluster::writer::timely;

use super::decide::{Seen, Step, decide, write};
use super::{
    GIVE_UP_AFTER, LEASE_DURATION, LOOK_EVERY, Leadership, RENEW_EVERY, RETRY_EVERY, STEP_TIMEOUT,
};

/// Why this process does not lead any more, or cannot.
#[derive(Debug, thiserror::Error)]
pub enum LeadershipError {
    /// Another operator has taken the Lease.
    #[error(
        "another operator, {holder}, has taken the Lease {lease}: this one ends, so that only one writes"
    )]
    Lost {
        /// The Lease.
        lease: String,
        /// Who has it.
        holder: String,
    },
    /// The Lease could not be renewed in time.
    #[error(
        "the Lease {lease} could not be renewed for {GIVE_UP_AFTER:?}: this operator ends, because another one may lead soon"
    )]
    Cut {
        /// The Lease.
        lease: String,
        /// What happened last.
        #[source]
        source: ApiError,
    },
}

/// Keeps one Lease.
pub struct Keeper {
    api: Api<Lease>,
    name: String,
    namespace: String,
    me: String,
    leadership: Leadership,
    seen: Seen,
}

impl Keeper {
    /// A keeper of a Lease in the operator's own namespace. `me` must be another for each process.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        me: String,
        leadership: Leadership,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            me,
            leadership,
            seen: Seen::nothing(Instant::now()),
        }
    }

    /// Waits until this process leads; `false`: cancelled meanwhile.
    pub async fn acquire(&mut self, cancelled: &CancellationToken) -> bool {
        let mut complaint = String::new();
        loop {
            match self.step().await {
                Ok(Held::Mine) => {
                    tracing::info!(lease = self.name, holder = self.me, "this operator leads");
                    return true;
                }
                Ok(Held::Others(holder)) => {
                    if complaint != holder {
                        tracing::info!(
                            lease = self.name,
                            holder,
                            "another operator leads: standing by"
                        );
                        complaint = holder;
                    }
                }
                // Another one was faster, or a late write of this one: the next look tells.
                Err(error) if error.code() == Some(409) => {}
                Err(error) => {
                    let text = full_error(&error);
                    if complaint != text {
                        tracing::warn!(
                            lease = self.name,
                            error = text,
                            "the Lease cannot be read or written"
                        );
                        complaint = text;
                    }
                }
            }
            tokio::select! {
                () = cancelled.cancelled() => return false,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Renews until cancelled, then gives the Lease back.
    ///
    /// # Errors
    /// When it is lost: the process must end at once.
    pub async fn keep(&mut self, cancelled: &CancellationToken) -> Result<(), LeadershipError> {
        let mut renewed = Instant::now();
        let mut pause = RENEW_EVERY;
        loop {
            tokio::select! {
                () = cancelled.cancelled() => {
                    self.release().await;
                    return Ok(());
                }
                () = tokio::time::sleep(pause) => {}
            }
            let begun = Instant::now();
            let last_error = match self.step().await {
                Ok(Held::Mine) => {
                    (renewed, pause) = (begun, RENEW_EVERY);
                    continue;
                }
                Ok(Held::Others(holder)) => {
                    self.leadership.lose();
                    let lease = self.full_name();
                    return Err(LeadershipError::Lost { lease, holder });
                }
                Err(error) => error,
            };
            pause = RETRY_EVERY;
            // Another try that may take its whole time must still end before the time is over.
            if renewed.elapsed() + pause + STEP_TIMEOUT > GIVE_UP_AFTER {
                self.leadership.lose();
                let lease = self.full_name();
                let source = last_error;
                return Err(LeadershipError::Cut { lease, source });
            }
        }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    async fn step(&mut self) -> Result<Held, ApiError> {
        timely(STEP_TIMEOUT, self.look_and_write()).await
    }

    /// Reads the Lease and writes it where that is due.
    async fn look_and_write(&mut self) -> kube::Result<Held> {
        let asked = Instant::now();
        let lease = self.api.get_opt(&self.name).await?;
        if let Some(lease) = &lease {
            self.seen.note(lease, asked);
        }
        let step = decide(lease.as_ref(), &self.me, &self.seen, asked);
        if step == Step::Stand {
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            return Ok(Held::Others(holder.unwrap_or_default()));
        }
        // The term is counted from before the request: the server's clock for it starts later.
        let begun = Instant::now();
        let spec = write(
            lease.as_ref(),
            &step,
            &self.me,
            LEASE_DURATION,
            Timestamp::now(),
        );
        let parameters = PostParams::default();
        let written = if let Some(mut lease) = lease {
            // It carries the version that was read, so of two who write only one succeeds.
            lease.spec = Some(spec);
            self.api.replace(&self.name, &parameters, &lease).await
        } else {
            let metadata = ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            };
            let spec = Some(spec);
            let lease = Lease { metadata, spec };
            self.api.create(&parameters, &lease).await
        };
        let lease = written?;
        self.seen.note(&lease, begun);
        self.leadership.hold_until(begun + LEASE_DURATION);
        Ok(Held::Mine)
    }

    /// Gives the Lease back, so that the next one need not wait for it to run out.
    async fn release(&mut self) {
        self.leadership.lose();
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.me) {
                spec.holder_identity = None;
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = timely(STEP_TIMEOUT, released).await {
            let error = full_error(&error);
            tracing::debug!(error, "the Lease was not given back; it runs out");
        }
    }
}

enum Held {
    Mine,
    Others(String),
}
