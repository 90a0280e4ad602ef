//! Whether an object needs to be written: a server-side apply that changes nothing is still a request, so what is there is
//! compared first.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DynamicObject;
use serde_json::Value;

use super::build::Child;
use crate::cluster::child::ChildKind;
use crate::labels::{APPLIED_HASH, WORKLOAD_HASH};

/// What to do about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is as it should be.
    Keep,
    /// It is missing, or differs.
    Apply,
    /// It differs in what cannot be changed: it makes place for a new one.
    Replace,
    /// It is on its way out; what comes after it waits.
    Wait,
    /// It belongs to somebody else, whose it stays.
    Refuse {
        /// Whose it is, for a person.
        owner: String,
    },
}

/// Compares an object as it is to be with what is there.
#[must_use]
pub fn decide(wanted: &Child, there: Option<&DynamicObject>, owner_uid: &str) -> Decision {
    let Some(there) = there else {
        return Decision::Apply;
    };
    if let Some(owner) = foreign_owner(there, owner_uid) {
        return Decision::Refuse { owner };
    }
    if there.metadata.deletion_timestamp.is_some() {
        return Decision::Wait;
    }
    if wanted.kind == ChildKind::Job {
        return decide_job(wanted, there);
    }
    if wanted.kind == ChildKind::PersistentVolumeClaim {
        // Little of a claim can be changed, and shrinking loses data: it stays as it was made.
        return Decision::Keep;
    }
    if is_as_wanted(&wanted.object, there) {
        Decision::Keep
    } else {
        Decision::Apply
    }
}

/// A Job's pods cannot be changed: an unfinished one is made anew and goes on where it was, a finished one stays for ever.
fn decide_job(wanted: &Child, there: &DynamicObject) -> Decision {
    let template = |job: &DynamicObject| {
        let annotations = &job.data["spec"]["template"]["metadata"]["annotations"];
        annotations[WORKLOAD_HASH].clone()
    };
    if is_finished(there) || is_as_wanted(&wanted.object, there) {
        Decision::Keep
    } else if template(&wanted.object) == template(there)
        && covers(
            &there.data["spec"]["template"],
            &wanted.object.data["spec"]["template"],
        )
    {
        Decision::Apply
    } else {
        Decision::Replace
    }
}

/// Whether a Job has ended, well or badly.
#[must_use]
pub fn is_finished(job: &DynamicObject) -> bool {
    let conditions = job.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        let ended = condition["type"] == "Complete" || condition["type"] == "Failed";
        ended && condition["status"] == "True"
    })
}

/// Whose an object is, if not ours: nothing that others made is taken over.
#[must_use]
pub fn foreign_owner(there: &DynamicObject, owner_uid: &str) -> Option<String> {
    let owners = there.metadata.owner_references.iter().flatten();
    let controller: Option<&OwnerReference> =
        owners.clone().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.uid == owner_uid => None,
        Some(owner) => Some(format!("{} {}", owner.kind, owner.name)),
        None => Some("nobody that it names".to_owned()),
    }
}

fn is_as_wanted(wanted: &DynamicObject, there: &DynamicObject) -> bool {
    let hash = |object: &DynamicObject| {
        let annotations = object.metadata.annotations.as_ref();
        annotations.and_then(|it| it.get(APPLIED_HASH)).cloned()
    };
    let metadata = |object: &DynamicObject| {
        serde_json::to_value((
            &object.metadata.labels,
            &object.metadata.annotations,
            &object.metadata.owner_references,
        ))
        .unwrap_or_default()
    };
    // The hash alone would miss an edit by hand, the comparison alone a field that was taken out.
    hash(wanted) == hash(there)
        && covers(&there.data, &wanted.data)
        && covers(&metadata(there), &metadata(wanted))
}

/// Whether everything that is wanted is there. What the API server or others added does not matter.
#[must_use]
pub fn covers(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (_, Value::Null) => true,
        // The API server leaves out what is empty.
        (Value::Null, Value::Object(fields)) => {
            fields.values().all(|field| covers(&Value::Null, field))
        }
        (Value::Null, Value::Array(items)) => items.is_empty(),
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, field)| covers(there.get(name).unwrap_or(&Value::Null), field)),
        (Value::Array(there), Value::Array(wanted)) => {
            if wanted.iter().any(Value::is_object) {
                wanted
                    .iter()
                    .all(|wanted| there.iter().any(|there| covers(there, wanted)))
            } else {
                there == wanted
            }
        }
        (Value::String(there), Value::String(wanted)) => {
            there == wanted || same_quantity(there, wanted)
        }
        _ => there == wanted,
    }
}

/// The API server writes `0.5` cores as `500m` and `1024Mi` as `1Gi`.
fn same_quantity(one: &str, other: &str) -> bool {
    match (quantity(one), quantity(other)) {
        (Some(one), Some(other)) => (one - other).abs() <= one.abs() * 1e-12,
        _ => false,
    }
}

fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
    ];
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (text.strip_suffix(suffix)?, *factor),
        None => (text, 1.0),
    };
    let number: f64 = number.parse().ok()?;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const UID: &str = "1-2-3";

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    fn deployment(image: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "a", "namespace": "b", "labels": {"x": "y"}, "annotations": {APPLIED_HASH: "h"},
                "ownerReferences": [{"apiVersion": "v", "kind": "OrderProducer", "name": "a", "uid": UID, "controller": true}]
            },
            "spec": {"template": {"spec": {"containers": [
                {"name": "workload", "image": image, "resources": {"requests": {"cpu": "0.5"}}}
            ]}}}
        })
    }

    fn child(kind: ChildKind, value: Value) -> Child {
        Child {
            kind,
            object: object(value),
        }
    }

    fn decide_deployment(change: impl FnOnce(&mut Value)) -> Decision {
        let mut there = deployment("i");
        there["spec"]["replicas"] = json!(1);
        there["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] =
            json!("500m");
        there["metadata"]["labels"]["more"] = json!("z");
        change(&mut there);
        let wanted = child(ChildKind::Deployment, deployment("i"));
        decide(&wanted, Some(&object(there)), UID)
    }

    #[test]
    fn what_the_server_adds_or_rewrites_is_no_difference() {
        assert_eq!(decide_deployment(|_| ()), Decision::Keep);
    }

    #[test]
    fn an_edit_by_hand_and_a_field_taken_out_are_differences() {
        assert_eq!(
            decide_deployment(
                |it| it["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j")
            ),
            Decision::Apply
        );
        assert_eq!(
            decide_deployment(|it| it["metadata"]["labels"]["x"] = json!("z")),
            Decision::Apply
        );
        assert_eq!(
            decide_deployment(|it| it["metadata"]["annotations"][APPLIED_HASH] = json!("old")),
            Decision::Apply
        );
        let wanted = child(ChildKind::Deployment, deployment("i"));
        assert_eq!(decide(&wanted, None, UID), Decision::Apply);
    }

    #[test]
    fn what_others_own_stays_theirs() {
        let theirs = |it: &mut Value| it["metadata"]["ownerReferences"][0]["uid"] = json!("9");
        let owner = "OrderProducer a".to_owned();
        assert_eq!(decide_deployment(theirs), Decision::Refuse { owner });
        let nobodys = |it: &mut Value| it["metadata"]["ownerReferences"] = json!([]);
        let owner = "nobody that it names".to_owned();
        assert_eq!(decide_deployment(nobodys), Decision::Refuse { owner });
    }

    #[test]
    fn what_is_on_its_way_out_is_waited_for() {
        let leaving =
            |it: &mut Value| it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(decide_deployment(leaving), Decision::Wait);
    }

    #[test]
    fn an_unfinished_job_is_replaced_and_a_finished_one_never() {
        let job = |image: &str| child(ChildKind::Job, deployment(image));
        let mut there = deployment("old");
        assert_eq!(
            decide(&job("new"), Some(&object(there.clone())), UID),
            Decision::Replace
        );
        let mut fewer = job("old");
        fewer.object.data["spec"]["parallelism"] = json!(0);
        assert_eq!(
            decide(&fewer, Some(&object(there.clone())), UID),
            Decision::Apply
        );
        there["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        assert_eq!(
            decide(&job("new"), Some(&object(there)), UID),
            Decision::Keep
        );
    }

    #[test]
    fn quantities_compare_by_amount() {
        for (one, other) in [
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1", "1000m"),
            ("1e3", "1k"),
        ] {
            assert!(same_quantity(one, other), "{one} {other}");
        }
        for (one, other) in [("1", "1m"), ("a", "b"), ("1Gi", "1G")] {
            assert!(!same_quantity(one, other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn everything_covers_itself(text in "[a-z0-9]{0,5}", number in any::<i64>(), flag in any::<bool>()) {
            let value = json!({"a": [{"name": text}, {"n": number}], "b": {"c": flag, "d": [text, number]}});
            prop_assert!(covers(&value, &value));
        }
    }
}
