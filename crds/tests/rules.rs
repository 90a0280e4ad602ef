//! Every rule of the definitions against the table in `tests/rules/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod mutations;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use mutations::{Effect, Misfit, Mutation};
use ordermill_crds::validate::{FieldPath, Report, Schemas, Segment, validate_text};
use ordermill_crds::{Backend, GROUP, OrderProducer, StreamConsumer, Worker, definitions};
use serde_json::{Value, json};
use table::{Case, Table, Verdict};

fn table() -> Table {
    Table::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules"))
}

/// The definitions as JSON, by kind.
fn definitions_by_kind() -> BTreeMap<String, Value> {
    let definitions = definitions().unwrap();
    definitions
        .into_iter()
        .map(|definition| {
            (
                definition.spec.names.kind.clone(),
                serde_json::to_value(definition).unwrap(),
            )
        })
        .collect()
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

fn schemas(definition: &Value) -> Schemas {
    Schemas::from_definitions(GROUP, std::slice::from_ref(definition)).unwrap()
}

fn report(object: &Value, schemas: &Schemas) -> Report {
    validate_text("table", &object.to_string(), schemas)
}

/// Whether violations of the field say all of it, and which do not.
fn unsaid<'a>(report: &Report, names: &str, says: &'a [String]) -> Vec<&'a str> {
    let names = FieldPath::parse(names);
    let violations = || {
        report
            .violations
            .iter()
            .filter(|violation| violation.path == names)
    };
    let is_unsaid =
        |text: &&String| !violations().any(|violation| violation.problem.contains(text.as_str()));
    says.iter().filter(is_unsaid).map(String::as_str).collect()
}

/// What the verdict on a case lacks.
fn lack(case: &Case, schemas: &Schemas) -> Option<String> {
    let report = report(&case.object, schemas);
    let told = || {
        let violations = report.violations.iter().map(ToString::to_string);
        violations.collect::<Vec<_>>().join("\n    ")
    };
    match &case.verdict {
        Verdict::Accept => {
            (!report.violations.is_empty()).then(|| format!("is refused:\n    {}", told()))
        }
        Verdict::Reject { names, says } => {
            let unsaid = unsaid(&report, names, says);
            (!unsaid.is_empty()).then(|| {
                format!(
                    "has no violation of {names} that says {unsaid:?}:\n    {}",
                    told()
                )
            })
        }
    }
}

fn misfit_case(misfit: &Misfit, kind: &str, base: &Value) -> Case {
    let mut object = base.clone();
    table::set(&mut object, &misfit.field, misfit.value.clone());
    let (names, says) = (misfit.names.clone(), vec![misfit.says.to_owned()]);
    let rule = format!("{} {}", misfit.field, misfit.says);
    Case {
        rule,
        kind: kind.to_owned(),
        object,
        verdict: Verdict::Reject { names, says },
    }
}

#[test]
fn every_case_has_its_verdict() {
    let table = table();
    let mut lacks = Vec::new();
    for (kind, definition) in definitions_by_kind() {
        let schemas = schemas(&definition);
        for case in table.cases.iter().filter(|case| case.kind == kind) {
            if let Some(lack) = lack(case, &schemas) {
                lacks.push(format!("{kind}: {}: {}\n  {lack}", case.rule, case.object));
            }
        }
    }
    assert!(
        lacks.is_empty(),
        "{} cases:\n{}",
        lacks.len(),
        lacks.join("\n")
    );
}

#[test]
fn every_base_is_good() {
    let definitions = definitions_by_kind();
    let table = table();
    assert_eq!(table.bases.len(), definitions.len());
    for base in table.bases {
        let report = report(&base.object, &schemas(&definitions[&base.kind]));
        assert_eq!(report.violations, [], "{}", base.kind);
    }
}

#[test]
fn what_the_schema_accepts_the_types_read() {
    fn read<T: serde::de::DeserializeOwned>(object: &Value) -> Result<(), serde_json::Error> {
        serde_json::from_value::<T>(object.clone()).map(|_| ())
    }
    let table = table();
    for (kind, definition) in definitions_by_kind() {
        let schemas = schemas(&definition);
        for case in table.cases.iter().filter(|case| case.kind == kind) {
            if let Verdict::Reject { .. } = case.verdict {
                continue;
            }
            for object in report(&case.object, &schemas).objects {
                let read = match kind.as_str() {
                    "OrderProducer" => read::<OrderProducer>(&object.value),
                    "StreamConsumer" => read::<StreamConsumer>(&object.value),
                    "Worker" => read::<Worker>(&object.value),
                    _ => read::<Backend>(&object.value),
                };
                assert!(read.is_ok(), "{}: {}: {read:?}", case.rule, object.value);
            }
        }
    }
}

/// A path with every index and, where the last step is a key of a map, that key left open.
fn general(path: &str) -> Vec<String> {
    FieldPath::parse(path)
        .segments()
        .iter()
        .map(|segment| match segment {
            Segment::Index(_) => "[]".to_owned(),
            Segment::Key(key) => key.clone(),
        })
        .collect()
}

/// Whether the case can tell of a change: it is refused for the field or what the field holds, or, where something good is
/// to become bad, it is accepted and has the field.
fn is_concerned(case: &Case, mutation: &Mutation) -> bool {
    let field = general(&mutation.field);
    // Any key of a map stands for all of them.
    let field = field.strip_suffix(&["key".to_owned()]).unwrap_or(&field);
    match &case.verdict {
        Verdict::Accept => mutation.effect == Effect::Narrower && has(&case.object, field),
        Verdict::Reject { names, .. } => {
            mutation.effect != Effect::Narrower && general(names).starts_with(field)
        }
    }
}

fn has(object: &Value, field: &[String]) -> bool {
    match field {
        [] => true,
        [first, rest @ ..] if first == "[]" => object
            .as_array()
            .is_some_and(|items| items.iter().any(|item| has(item, rest))),
        [first, rest @ ..] => object.get(first).is_some_and(|value| has(value, rest)),
    }
}

/// Whether the case comes out otherwise under the changed schema.
fn notices(case: &Case, mutation: &Mutation, whole: &Schemas, changed: &Schemas) -> bool {
    match (&case.verdict, mutation.effect) {
        // A wider bound changes what is said of everything outside; only what is just outside is said less of.
        (Verdict::Reject { names, .. }, Effect::Wider) => {
            let names = FieldPath::parse(names);
            let count = |schemas: &Schemas| {
                let report = report(&case.object, schemas);
                report
                    .violations
                    .iter()
                    .filter(|violation| violation.path == names)
                    .count()
            };
            count(changed) < count(whole)
        }
        _ => lack(case, changed).is_some(),
    }
}

#[test]
fn a_change_of_any_one_rule_is_noticed() {
    let table = table();
    let mut unnoticed = Vec::new();
    let mut count = 0;
    for (kind, definition) in definitions_by_kind() {
        let schema = definition.pointer(SCHEMA).unwrap();
        let base = &table
            .bases
            .iter()
            .find(|base| base.kind == kind)
            .unwrap()
            .object;
        let (mutations, misfits) = mutations::rules(schema);
        let whole = schemas(&definition);
        let mut cases: Vec<Case> = misfits
            .iter()
            .map(|misfit| misfit_case(misfit, &kind, base))
            .collect();
        for case in &cases {
            assert_eq!(lack(case, &whole), None, "{kind}: {}", case.object);
        }
        cases.extend(table.cases.iter().filter(|case| case.kind == kind).cloned());
        count += mutations.len();
        let is_noticed = |mutation: &Mutation| {
            let mut changed = definition.clone();
            *changed.pointer_mut(SCHEMA).unwrap() = mutation.apply(schema);
            let changed = schemas(&changed);
            let mut concerned = cases.iter().filter(|case| is_concerned(case, mutation));
            concerned.any(|case| notices(case, mutation, &whole, &changed))
        };
        // Each change is a schema to be read: half a minute of work for one processor.
        let threads = thread::available_parallelism().unwrap().get();
        let share = |first| {
            let mutations = mutations.iter().skip(first).step_by(threads);
            let unnoticed = mutations.filter(|mutation| !is_noticed(mutation));
            let name = |mutation: &Mutation| format!("{kind}: {}", mutation.rule);
            unnoticed.map(name).collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let share = &share;
            let all = (0..threads).map(|first| scope.spawn(move || share(first)));
            for share in all.collect::<Vec<_>>() {
                unnoticed.extend(share.join().unwrap());
            }
        });
    }
    assert!(count > 1000, "only {count} rules were found");
    assert!(
        unnoticed.is_empty(),
        "{} of {count} changes:\n{}",
        unnoticed.len(),
        unnoticed.join("\n")
    );
}

/// A message tells what is allowed, in the words of the field that it names.
#[test]
fn every_cel_rule_has_a_message() {
    fn walk(node: &Value, path: &str, found: &mut Vec<String>) {
        match node {
            Value::Object(fields) => {
                for rule in fields
                    .get("x-kubernetes-validations")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    let message = rule["message"].as_str().unwrap_or_default();
                    if message.len() < 10 || message.contains('\n') {
                        found.push(format!("{path}: {rule}"));
                    }
                }
                for (name, value) in fields {
                    walk(value, &format!("{path}/{name}"), found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (kind, definition) in definitions_by_kind() {
        walk(
            definition.pointer(SCHEMA).unwrap_or(&json!(null)),
            &kind,
            &mut found,
        );
    }
    assert_eq!(found, Vec::<String>::new());
}
