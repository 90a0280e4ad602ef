//! Definitions of custom resources, from files or types into the cluster.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};

use super::Error;
use crate::wait::until;

/// Accepting a definition takes a fraction of a second.
const DEADLINE: Duration = Duration::from_mins(1);

/// Applies `definitions` server-side and waits until all are established.
pub(super) async fn install(
    client: Client,
    definitions: &[CustomResourceDefinition],
) -> Result<(), Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    for definition in definitions {
        let apply = PatchParams::apply("ordermill-tests").force();
        api.patch(
            &definition.name_any(),
            &apply.validation_strict(),
            &Patch::Apply(definition),
        )
        .await
        .map_err(Error::client("applying a definition"))?;
    }
    for definition in definitions {
        let name = definition.name_any();
        let established = until(DEADLINE, async || {
            let stored = api.get(&name).await.map_err(|error| error.to_string())?;
            is_established(&stored)
                .then_some(())
                .ok_or_else(|| format!("the conditions of {name}: {:?}", stored.status))
        })
        .await;
        established.map_err(|timed_out| Error::Waiting {
            what: "an established definition",
            why: timed_out.to_string(),
        })?;
    }
    Ok(())
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .flatten();
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Established" && condition.status == "True")
}
