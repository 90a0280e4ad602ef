use serde_json::json;

use super::*;
use crate::validate::schema::{Extra, normalize};

/// What is found, as `path: problem`, after the value has been normalized as in real use.
fn found(schema: &Value, value: &Value) -> Vec<String> {
    let schema = SchemaNode::read(schema).unwrap();
    let mut findings = Vec::new();
    let value = normalize(&schema, value, Extra::None, &mut findings);
    findings.extend(check(&schema, &value, &FieldPath::root()));
    findings
        .iter()
        .map(|finding| format!("{}: {}", finding.path, finding.problem))
        .collect()
}

fn field(schema: &Value, value: &Value) -> Vec<String> {
    found(
        &json!({"type": "object", "properties": {"f": schema}}),
        &json!({"f": value}),
    )
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn types() {
    for (kind, good, bad, allowed) in [
        ("string", json!("x"), json!(1), "a text"),
        ("integer", json!(1), json!(1.5), "a whole number"),
        ("integer", json!(3.0), json!("1"), "a whole number"),
        ("number", json!(1), json!("1"), "a number"),
        ("boolean", json!(true), json!("true"), "true or false"),
        ("array", json!([]), json!({}), "a list"),
        ("object", json!({}), json!([]), "an object"),
    ] {
        assert_eq!(field(&json!({"type": kind}), &good), none());
        assert_eq!(
            field(&json!({"type": kind}), &bad),
            [format!("f: must be {allowed}")]
        );
    }
    let either = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    assert_eq!(field(&either, &json!(1)), none());
    assert_eq!(field(&either, &json!("25%")), none());
    assert_eq!(
        field(&either, &json!(1.5)),
        ["f: must be a whole number or a text"]
    );
}

#[test]
fn nulls_are_dropped_from_objects_but_not_from_lists() {
    assert_eq!(field(&json!({"type": "string"}), &json!(null)), none());
    assert_eq!(
        field(&json!({"type": "string", "nullable": true}), &json!(null)),
        none()
    );
    let list = json!({"type": "array", "items": {"type": "string"}});
    assert_eq!(field(&list, &json!([null])), ["f[0]: must be a text"]);
    let required =
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}});
    assert_eq!(found(&required, &json!({"a": null})), ["a: is required"]);
}

#[test]
fn bounds() {
    let inclusive = json!({"type": "number", "minimum": 0, "maximum": 1});
    assert_eq!(field(&inclusive, &json!(0)), none());
    assert_eq!(field(&inclusive, &json!(1)), none());
    assert_eq!(field(&inclusive, &json!(-0.1)), ["f: must be at least 0"]);
    assert_eq!(field(&inclusive, &json!(1.1)), ["f: must be at most 1"]);
    let exclusive = json!({
        "type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": true, "multipleOf": 2,
    });
    assert_eq!(field(&exclusive, &json!(8)), none());
    assert_eq!(field(&exclusive, &json!(0)), ["f: must be more than 0"]);
    assert_eq!(
        field(&exclusive, &json!(9)),
        ["f: must be less than 9", "f: must be a multiple of 2"]
    );
}

#[test]
fn texts_are_counted_in_characters_and_patterns_are_not_anchored() {
    let text = json!({"type": "string", "minLength": 2, "maxLength": 3, "pattern": "ä"});
    assert_eq!(field(&text, &json!("xä")), none());
    assert_eq!(field(&text, &json!("äöü")), none());
    assert_eq!(
        field(&text, &json!("äöüß")),
        ["f: must have at most 3 characters, has 4"]
    );
    assert_eq!(
        field(&text, &json!("x")),
        [
            "f: must have at least 2 characters, has 1",
            "f: must match ä"
        ]
    );
    let broken = json!({"type": "string", "pattern": "("});
    assert!(field(&broken, &json!("x"))[0].contains("cannot be applied"));
}

#[test]
fn choices_name_the_one_that_was_meant() {
    let choice = json!({"type": "string", "enum": ["Classic", "Consumer"]});
    assert_eq!(field(&choice, &json!("Classic")), none());
    assert_eq!(
        field(&choice, &json!("consumer")),
        ["f: must be one of Classic, Consumer; did you mean Consumer?"]
    );
}

#[test]
fn counts_and_uniqueness() {
    let list = json!({"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer"}});
    assert_eq!(
        field(&list, &json!([])),
        ["f: must have at least 1 item, has 0"]
    );
    assert_eq!(
        field(&list, &json!([1, 1, 1])),
        ["f: must have at most 2 items, has 3"]
    );
    let set =
        json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
    assert_eq!(
        field(&set, &json!(["a", "b", "a"])),
        ["f[2]: must not be in the list twice"]
    );
    let map = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    });
    assert_eq!(field(&map, &json!([{"name": "a"}, {"name": "b"}])), none());
    assert_eq!(
        field(&map, &json!([{"name": "a"}, {"name": "a"}])),
        ["f[1].name: must not repeat the name of an earlier item"]
    );
    let properties = json!({
        "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "string"},
    });
    assert_eq!(
        field(&properties, &json!({})),
        ["f: must have at least 1 field, has 0"]
    );
    assert_eq!(
        field(&properties, &json!({"a": "", "b": 1})),
        ["f: must have at most 1 field, has 2", "f.b: must be a text",]
    );
}

#[test]
fn junctors() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        "not": {"required": ["c"]},
        "allOf": [{"properties": {"a": {"maximum": 5}}}],
        "anyOf": [{"properties": {"a": {"minimum": 1}}}],
    });
    assert_eq!(found(&schema, &json!({"a": 1})), none());
    assert_eq!(
        found(&schema, &json!({})),
        [": a is required, or b is required"]
    );
    assert_eq!(
        found(&schema, &json!({"a": 1, "b": 1})),
        [": must be exactly one of 2 alternatives, but fits 2"]
    );
    assert_eq!(
        found(&schema, &json!({"a": 1, "c": 1})),
        [": has a form that is excluded"]
    );
    assert_eq!(found(&schema, &json!({"a": 6})), ["a: must be at most 5"]);
    assert_eq!(found(&schema, &json!({"a": 0})), [": a must be at least 1"]);
}

fn with_rule(rule: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "share": {"type": "number", "maximum": 10},
            "count": {"type": "integer", "default": 2},
            "other": {"type": "string"},
            "wait": {"type": "string", "pattern": "s$"},
        },
        "x-kubernetes-validations": [rule],
    })
}

#[test]
fn rules_see_defaults_and_numbers_by_their_type() {
    let schema = with_rule(
        &json!({"rule": "self.share * 0.5 < 1.0 && self.count == 2", "message": "too much"}),
    );
    assert_eq!(found(&schema, &json!({"share": 1})), none());
    assert_eq!(found(&schema, &json!({"share": 2})), [": too much"]);
    assert_eq!(
        found(&schema, &json!({"share": 1, "count": 3})),
        [": too much"]
    );
}

#[test]
fn rules_name_their_field_and_make_their_message() {
    let rule = json!({
        "rule": "!has(self.other) || self.other != 'x'", "fieldPath": ".other", "reason": "FieldValueInvalid",
        "messageExpression": "'not ' + self.other",
    });
    assert_eq!(
        found(&with_rule(&rule), &json!({"other": "x"})),
        ["other: not x"]
    );
}

#[test]
fn a_rule_is_not_asked_about_what_is_of_the_wrong_kind() {
    let schema = with_rule(&json!({"rule": "self.share < 1.0", "message": "too much"}));
    assert_eq!(
        found(&schema, &json!({"share": "x"})),
        ["share: must be a number"]
    );
    // A wrong field that the rule does not read hides nothing, and neither does a bound.
    assert_eq!(
        found(&schema, &json!({"share": 5, "other": 1})),
        ["other: must be a text", ": too much"]
    );
    assert_eq!(
        found(&schema, &json!({"share": 50})),
        ["share: must be at most 10", ": too much"]
    );
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_told() {
    let schema =
        with_rule(&json!({"rule": "duration(self.wait) > duration('1s')", "message": "too short"}));
    assert_eq!(found(&schema, &json!({"wait": "2s"})), none());
    assert!(found(&schema, &json!({"wait": "ns"}))[0].contains("cannot be applied"));
    // Unless the field has been told of already.
    assert_eq!(
        found(&schema, &json!({"wait": "x"})),
        ["wait: must match s$"]
    );
    for rule in [
        "self.absent == 1",
        "1 +",
        "self.count",
        "nothing(self.count)",
    ] {
        let told = found(
            &with_rule(&json!({"rule": rule, "message": "m"})),
            &json!({}),
        );
        assert!(told[0].contains("cannot be applied"), "{rule}: {told:?}");
    }
}

#[test]
fn rules_inside_of_lists_and_maps_are_asked_for_each() {
    let item = json!({"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0", "message": "positive"}]});
    let schema = json!({"type": "object", "properties": {
        "list": {"type": "array", "items": item},
        "map": {"type": "object", "additionalProperties": item},
    }});
    let value = json!({"list": [1, 0], "map": {"a": 0, "b": 1}});
    assert_eq!(
        found(&schema, &value),
        ["list[1]: positive", "map.a: positive"]
    );
}
