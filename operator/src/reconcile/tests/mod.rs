//! Reconciles against an API server that fails where it is told to.

mod faults;
mod requests;

use kube::runtime::events::Reporter;
use ordermill_crds::OrderProducer;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cluster::caches::Scope;
use crate::cluster::triggers::Triggers;
use crate::fixtures::api_server::{Answer, ApiServer, Seen};
use crate::fixtures::{policy, resource};
use crate::leadership::Leadership;
use crate::tasks::Tasks;

const SPEC: &str = "{model: WoodOrder, replicas: 2, errorRate: 0.1}";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/wood-producer";
const CONFIG_MAP: &str = "/api/v1/namespaces/shop/configmaps/wood-producer";

/// An operator with what it knows of a cluster.
struct Stage {
    context: Arc<Context>,
    leadership: Leadership,
}

impl Stage {
    async fn set(server: ApiServer) -> Self {
        let metrics = Metrics::default();
        let leadership = Leadership::always();
        let client = server.client.clone();
        let reporter = Reporter {
            controller: "ordermill-operator".to_owned(),
            instance: None,
        };
        let keys = KeyStore::new(
            client.clone(),
            "mill",
            Duration::from_hours(24),
            leadership.clone(),
        );
        keys.refresh(Timestamp::now()).await.unwrap();
        let tasks = Tasks::new(CancellationToken::new());
        let scope = Scope::Namespace("shop".to_owned());
        let caches = Caches::start(&client, &scope, &Triggers::default(), &tasks, &metrics);
        caches.synced().await;
        server.take_log();
        let context = Arc::new(Context {
            policy: policy(),
            caches,
            writer: Writer::new(client, leadership.clone(), reporter, metrics.clone()),
            delivery: Delivery::new(metrics.clone()),
            keys,
            queue: Queue::new(metrics.clone()),
            metrics,
            backoffs: Backoffs::default(),
        });
        Self {
            context,
            leadership,
        }
    }

    async fn reconcile(&self, resource: &OrderProducer) -> Result<Action, ReconcileError> {
        let resource = Arc::new(DeserializeGuard(Ok(resource.clone())));
        Box::pin(reconcile(resource, Arc::clone(&self.context))).await
    }

    fn after(&self, resource: &OrderProducer, error: &ReconcileError) -> Action {
        let resource = Arc::new(DeserializeGuard(Ok(resource.clone())));
        after_error(resource, error, Arc::clone(&self.context))
    }
}

fn wood(spec: &str) -> OrderProducer {
    resource("wood", spec)
}

/// The status that was written last.
fn status_of(log: &[Seen]) -> &Value {
    let mut writes = log.iter().rev();
    let write = writes.find(|seen| seen.path.ends_with("/status"));
    &write.expect("a status was written").body["status"]
}

fn is_apply_of(seen: &Seen, path: &str) -> bool {
    seen.method == http::Method::PATCH && seen.path == path
}
