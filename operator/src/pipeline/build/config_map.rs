//! The `ConfigMap` that pods mount: what they start with, what tunes them, and whose signature they take.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use ordermill_config::{KEYS_FILE, TUNING_FILE, VerifyingKeys, WORKLOAD_FILE};
use serde::Serialize;

use super::metadata;
use crate::error::ReconcileError;
use crate::pipeline::validate::Validated;

pub(super) fn build(
    validated: &Validated,
    keys: &VerifyingKeys,
) -> Result<ConfigMap, ReconcileError> {
    let documents = &validated.documents;
    let mut data: BTreeMap<String, String> = [
        (WORKLOAD_FILE, json(WORKLOAD_FILE, &documents.workload)?),
        (TUNING_FILE, json(TUNING_FILE, &documents.tuning)?),
        (KEYS_FILE, json(KEYS_FILE, keys)?),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    for (name, content) in &validated.files {
        data.insert((*name).to_owned(), content.clone());
    }
    Ok(ConfigMap {
        metadata: metadata(&validated.identity, validated.identity.child_name.clone()),
        data: Some(data),
        ..ConfigMap::default()
    })
}

/// Readable, because people look into it with kubectl.
pub(super) fn json(what: &str, document: &impl Serialize) -> Result<String, ReconcileError> {
    serde_json::to_string_pretty(document).map_err(|source| ReconcileError::Serialize {
        what: what.to_owned(),
        source,
    })
}
