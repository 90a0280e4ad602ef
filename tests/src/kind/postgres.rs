//! A PostgreSQL as a pod.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use serde_json::json;

use super::server::{self, create, node_port};
use super::{Cluster, Error, postgres_image};
use crate::kubernetes::Namespace;

const NAME: &str = "postgres";
const PORT: i32 = 5432;

/// Makes the databases that its arguments name at the first start, and serves them.
const START: &str = r#"set -eu
if [ ! -e /data/cluster/PG_VERSION ]; then
    initdb --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync --pgdata=/data/cluster >/dev/null
    echo 'host all all all trust' >> /data/cluster/pg_hba.conf
    for database; do
        echo "CREATE DATABASE $database" | postgres --single -D /data/cluster postgres >/dev/null
    done
fi
exec postgres -D /data/cluster -c listen_addresses='*' -c unix_socket_directories= -c dynamic_shared_memory_type=mmap
"#;

/// A server that pods and this machine reach, each at its own address. Anybody may log in.
#[derive(Debug)]
pub struct Postgres {
    inside: String,
    outside: String,
}

impl Postgres {
    /// Starts a server with these databases, all of them empty, in a namespace, and waits until it serves.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start(
        cluster: &Cluster,
        namespace: &Namespace,
        databases: &[&str],
    ) -> Result<Self, Error> {
        let image = postgres_image(cluster.engine())?;
        let ports = json!([{"name": "postgres", "port": PORT}]);
        let service: Service = create(namespace, server::service(NAME, &ports)).await?;
        let outside = node_port(&service, PORT)?;
        let settings = server::settings(NAME, &json!({"start.sh": START}));
        let _: ConfigMap = create(namespace, settings).await?;
        let container = json!({
            "image": image,
            "command": ["sh", "/etc/server/start.sh"],
            "args": databases,
            "ports": [{"containerPort": PORT}],
            "resources": {
                "requests": {"cpu": "20m", "memory": "64Mi"},
                "limits": {"cpu": "1", "memory": "256Mi"},
            },
        });
        let _: Pod = create(namespace, server::pod(NAME, &container, PORT)).await?;
        server::ready(&namespace.api(), NAME, 0).await?;
        Ok(Self {
            inside: format!("{NAME}.{}.svc:{PORT}", namespace.name()),
            outside: format!("{}:{outside}", cluster.node_address()?),
        })
    }

    /// The URL of a database for pods.
    #[must_use]
    pub fn inside(&self, database: &str) -> String {
        url(&self.inside, database)
    }

    /// The URL of a database for this machine.
    #[must_use]
    pub fn outside(&self, database: &str) -> String {
        url(&self.outside, database)
    }
}

fn url(address: &str, database: &str) -> String {
    format!("postgres://postgres@{address}/{database}")
}
