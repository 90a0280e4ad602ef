//! A backend by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ordermill_crds::{BackendApp, BackendSpec};

use super::reader::{EnvironmentErrors, Reader};
use super::{common_spec, placement, telemetry_settings};
use crate::{Documents, StorageSettings, WorkloadSettings, backend_documents};

/// Derives both documents of a backend from environment variables. Without `DATABASE_URL`, its data is in the folder that it
/// is started in.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn backend_from_environment(
    app: BackendApp,
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader::new(variables);
    let port = reader.integer("PORT", 0, 65_535);
    let spec = BackendSpec {
        app,
        port: port.and_then(|port| i32::try_from(port).ok()),
        storage: None,
        database: None,
        cache: None,
        faults: None,
        common: common_spec(&mut reader),
    };
    let name = match app {
        BackendApp::Order => "order",
        BackendApp::Stock => "stock",
        BackendApp::Customer => "customer",
    };
    let telemetry = telemetry_settings(name, &mut reader);
    if !reader.errors.is_empty() {
        return Err(EnvironmentErrors(reader.errors));
    }
    let mut documents = backend_documents(&spec, placement("Backend", telemetry));
    if let WorkloadSettings::Backend(settings) = &mut documents.workload.workload {
        settings.storage = Some(StorageSettings {
            folder: PathBuf::from("."),
            persistent: true,
        });
    }
    Ok(documents)
}
