//! Whether the API server serves a group: resources may be defined after the operator has started.

use std::time::Duration;

use super::ApiError;
use kube::Client;
use ordermill_crds::{GROUP, KINDS, VERSION};

/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Whether a group and version is served.
///
/// # Errors
/// When the API server does not say.
pub async fn is_served(client: &Client, group_version: &str) -> Result<bool, ApiError> {
    Ok(!kinds(client, group_version).await?.is_empty())
}

/// Our kinds that are not served.
///
/// # Errors
/// When the API server does not say.
pub async fn missing_kinds(client: &Client) -> Result<Vec<&'static str>, ApiError> {
    let served = kinds(client, &format!("{GROUP}/{VERSION}")).await?;
    let is_missing = |kind: &&str| !served.iter().any(|served| served == kind);
    Ok(KINDS.into_iter().filter(is_missing).collect())
}

async fn kinds(client: &Client, group_version: &str) -> Result<Vec<String>, ApiError> {
    let listed = client.list_api_group_resources(group_version).await;
    match listed.map_err(ApiError::from) {
        Ok(list) => Ok(list.resources.into_iter().map(|it| it.kind).collect()),
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
