//! Whether the API server serves a group: resources may be defined after the operator has started.

use std::time::Duration;

use kube::Client;
use ordermill_crds::{GROUP, KINDS, VERSION};

/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Whether a group and version is served.
///
/// # Errors
/// When the API server does not say.
pub async fn is_served(client: &Client, group_version: &str) -> kube::Result<bool> {
    Ok(!kinds(client, group_version).await?.is_empty())
}

/// Our kinds that are not served.
///
/// # Errors
/// When the API server does not say.
pub async fn missing_kinds(client: &Client) -> kube::Result<Vec<&'static str>> {
    let served = kinds(client, &format!("{GROUP}/{VERSION}")).await?;
    let is_missing = |kind: &&str| !served.iter().any(|served| served == kind);
    Ok(KINDS.into_iter().filter(is_missing).collect())
}

async fn kinds(client: &Client, group_version: &str) -> kube::Result<Vec<String>> {
    match client.list_api_group_resources(group_version).await {
        Ok(list) => Ok(list.resources.into_iter().map(|it| it.kind).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
