//! The API server agrees with the table of rules that `ordermill validate` is held to.

use std::path::Path;

use futures::StreamExt as _;
use kube::Error;
use ordermill_crds::validate::{FieldPath, Segment};
use ordermill_crds::{GROUP, VERSION};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Namespace};
use serde_json::{Value, json};

use super::table::{Case, Table, Verdict};

/// How many documents are on their way at a time.
const ABREAST: usize = 16;

/// How the API server is asked, without storing anything and with unknown fields refused.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// As `kubectl apply` creates an object.
    Create,
    /// As `kubectl apply --server-side` does. It stops at the first trouble and does not always name the field.
    Apply,
}

/// The API server's verdict on a document.
async fn ask(way: Way, namespace: &Namespace, case: &Case) -> Result<(), Error> {
    let mut object = case.object.clone();
    object["metadata"]["namespace"] = json!(namespace.name());
    let plural = format!("{}s", case.kind.to_lowercase());
    let objects = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}");
    let parameters = "dryRun=All&fieldValidation=Strict&fieldManager=table";
    let request = match way {
        Way::Create => hyper::Request::post(format!("{objects}?{parameters}"))
            .header("content-type", "application/json"),
        Way::Apply => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            hyper::Request::patch(format!("{objects}/{name}?{parameters}"))
                .header("content-type", "application/apply-patch+yaml")
        }
    };
    let request = request.body(object.to_string().into_bytes()).unwrap();
    let answer: Result<Value, Error> = namespace.client().request(request).await;
    answer.map(drop)
}

/// The field as the API server names it: a key of a map like a field, and no key of labels and annotations.
fn as_the_server_names(field: &str) -> String {
    let mut name = String::new();
    for segment in FieldPath::parse(field).segments() {
        match segment {
            Segment::Key(key) if name.is_empty() => name.clone_from(key),
            Segment::Key(key) => name.extend([".", key.as_str()]),
            Segment::Index(index) => name.extend(["[", &index.to_string(), "]"]),
        }
        if matches!(name.as_str(), "metadata.labels" | "metadata.annotations") {
            break;
        }
    }
    name
}

/// What the API server's verdict lacks.
fn lack(way: Way, case: &Case, outcome: &Result<(), Error>) -> Option<String> {
    match (&case.verdict, outcome) {
        (Verdict::Accept, Ok(())) => None,
        (Verdict::Accept, Err(error)) => Some(format!("is refused: {error}")),
        (Verdict::Reject { .. }, Ok(())) => Some("is accepted".to_owned()),
        (Verdict::Reject { names, says }, Err(Error::Api(status))) => {
            let named = as_the_server_names(names);
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let mut fields = causes.map(|cause| match cause.reason.as_str() {
                // Of two items with the same key it names the item, we the key.
                "FieldValueDuplicate" => format!("{}.name", cause.field),
                _ => cause.field.clone(),
            });
            // An unknown field has no cause of its own.
            let is_named = fields.any(|field| field == named)
                || status
                    .message
                    .contains(&format!("unknown field \"{named}\""));
            (way == Way::Create && !is_named).then(|| {
                format!(
                    "is not refused for {named}, of which we say {says:?}: {}",
                    status.message
                )
            })
        }
        (Verdict::Reject { .. }, Err(error)) => Some(format!("has no verdict: {error}")),
    }
}

async fn every_case_has_its_verdict(way: Way) -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("rules").await?;
    let table = Table::read(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/tests/rules"
    )));
    assert!(table.cases.len() > 1000, "{}", table.cases.len());
    let asked = table.cases.iter().filter(|case| {
        // Who applies says which object: without a name there is nobody to ask.
        way == Way::Create || case.object["metadata"]["name"].is_string()
    });
    let lacks: Vec<String> = futures::stream::iter(asked)
        .map(async |case| {
            let outcome = ask(way, &namespace, case).await;
            let lack = lack(way, case, &outcome)?;
            Some(format!("{}: {}\n  {lack}", case.kind, case.rule))
        })
        .buffered(ABREAST)
        .filter_map(async |lack| lack)
        .collect()
        .await;
    assert!(
        lacks.is_empty(),
        "{} of {} cases:\n{}",
        lacks.len(),
        table.cases.len(),
        lacks.join("\n")
    );
    Ok(())
}

#[tokio::test]
async fn every_case_of_the_table_has_its_verdict_and_names_its_field() -> TestResult {
    every_case_has_its_verdict(Way::Create).await
}

#[tokio::test]
async fn every_case_of_the_table_has_its_verdict_server_side() -> TestResult {
    every_case_has_its_verdict(Way::Apply).await
}

#[test]
fn fields_are_named_as_the_server_does() {
    for (ours, the_servers) in [
        ("spec.topics[2].name", "spec.topics[2].name"),
        (
            "spec.kafka.properties[linger.ms]",
            "spec.kafka.properties.linger.ms",
        ),
        ("metadata.labels[a b]", "metadata.labels"),
    ] {
        assert_eq!(as_the_server_names(ours), the_servers);
    }
}
