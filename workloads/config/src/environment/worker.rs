//! A worker by hand.

use std::collections::BTreeMap;

use ordermill_crds::values::Period;
use ordermill_crds::{OrderManagementOptions, WorkerSpec, WorkerTask};

use super::reader::{EnvironmentErrors, Reader};
use super::{api_urls, common_spec, interval, placement, seconds, telemetry_settings};
use crate::{Documents, Needs as _, worker_documents};

/// Derives both documents of the worker that moves wood orders on from environment variables.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn worker_from_environment(
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader::new(variables);
    let mut number = |name, minimum, maximum| {
        let number = reader.integer(name, minimum, maximum);
        number.and_then(|number| i32::try_from(number).ok())
    };
    let (batch_size, max_retries) = (
        number("BATCH_SIZE", 1, 10_000),
        number("MAX_RETRIES", 0, 100),
    );
    let lease = reader.read(&["LEASE_SECONDS"], |text| {
        let lease = seconds(text).and_then(|lease| Period::try_from(lease).ok());
        lease.ok_or_else(|| "must be seconds between 1 and 315360000".to_owned())
    });
    let spec = WorkerSpec {
        task: WorkerTask::OrderManagement,
        interval: interval(&mut reader, &["INTERVAL_SECONDS"]),
        batch_size,
        max_retries,
        order_management: Some(OrderManagementOptions { lease }),
        loyalty_expiry: None,
        data_cleanup: None,
        backends: None,
        database: None,
        cache: None,
        faults: None,
        common: common_spec(&mut reader),
    };
    let backends = api_urls(&mut reader, spec.required_backends().into_keys());
    let telemetry = telemetry_settings("ordermanagement", &mut reader);
    if !reader.errors.is_empty() {
        return Err(EnvironmentErrors(reader.errors));
    }
    let mut placement = placement("Worker", telemetry);
    placement.backends = backends;
    Ok(worker_documents(&spec, placement))
}
