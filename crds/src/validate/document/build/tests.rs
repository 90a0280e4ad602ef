use serde_json::json;

use super::super::Show;
use super::*;

fn values(text: &str) -> Vec<Value> {
    let stream = parse(text);
    assert_eq!(stream.problems, []);
    stream
        .documents
        .iter()
        .map(|document| document.root.to_value())
        .collect()
}

fn place(node: &Node, path: &str, show: Show) -> (usize, usize) {
    let Position { line, column } = node.locate(&FieldPath::parse(path), show);
    (line, column)
}

#[test]
fn reads_documents_and_skips_empty_ones() {
    let text = "# nothing\n---\na: 1\n---\n---\n# only a comment\n---\nb: [x, \"1\"]\n...\n";
    assert_eq!(values(text), [json!({"a": 1}), json!({"b": ["x", "1"]})]);
    assert_eq!(values(""), Vec::<Value>::new());
}

#[test]
fn reads_json() {
    assert_eq!(
        values("{\n\t\"a\": [1, {\"b\": null}], \"c\": \"\\u00e4\"\n}\n"),
        [json!({"a": [1, {"b": null}], "c": "ä"})]
    );
}

#[test]
fn knows_where_values_and_keys_stand() {
    let stream = parse(
        "---\nx: 0\n---\nspec:\n  rate: 5\n  list:\n    - name: é\n      size: 1\n  empty:\n",
    );
    let root = &stream.documents[1].root;
    assert_eq!(place(root, "spec.rate", Show::Value), (5, 9));
    assert_eq!(place(root, "spec.rate", Show::Key), (5, 3));
    assert_eq!(place(root, "spec", Show::Value), (4, 1));
    assert_eq!(place(root, "spec.list[0]", Show::Value), (7, 7));
    assert_eq!(place(root, "spec.list[0].size", Show::Value), (8, 13));
    assert_eq!(place(root, "spec.empty", Show::Value), (9, 3));
    assert_eq!(place(root, "spec.missing.deeper", Show::Value), (4, 1));
}

#[test]
fn expands_aliases_and_merge_keys() {
    let text = "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\ne: {<<: [*x, {c: 9, f: 4}], g: *x}\n";
    let merged = json!({
        "a": {"b": 1, "c": 2},
        "d": {"b": 3, "c": 2},
        "e": {"g": {"b": 1, "c": 2}, "b": 1, "c": 2, "f": 4},
    });
    assert_eq!(values(text), [merged]);
}

#[test]
fn a_slip_in_one_document_leaves_the_others() {
    let stream = parse("a: 1\n---\nb: [1\nc: 2\n---\nd: 3\n");
    assert_eq!(stream.documents.len(), 2);
    assert_eq!(stream.problems.len(), 1);
    assert!(
        (3..=5).contains(&stream.problems[0].position.line),
        "{:?}",
        stream.problems
    );
}

#[test]
fn a_key_given_twice_names_both_places() {
    let stream = parse("spec:\n  rate: 1\n  rate: 2\n");
    let problem = &stream.documents[0].problems[0];
    assert_eq!(problem.path.to_string(), "spec.rate");
    assert_eq!((problem.position.line, problem.position.column), (3, 3));
    assert_eq!(problem.message, "is given twice, first on line 2, column 3");
}

#[test]
fn multiplying_aliases_and_deep_nesting_are_refused() {
    let lines = (0..9).map(|level| match level {
        0 => format!("a0: &a0 [{}]", ["x"; 10].join(", ")),
        _ => format!(
            "a{level}: &a{level} [{}]",
            vec![format!("*a{}", level - 1); 10].join(", ")
        ),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(
        parse(&text).problems[0]
            .message
            .contains("more than 200000 values")
    );
    for levels in [MAX_DEPTH + 1, 5_000] {
        let deep = "[".repeat(levels) + &"]".repeat(levels);
        let stream = parse(&deep);
        assert!(stream.documents.is_empty(), "{levels}");
        assert!(
            stream.problems[0].message.contains("nest")
                || stream.problems[0].message.contains("recursion"),
            "{:?}",
            stream.problems
        );
    }
}

#[test]
fn an_alias_inside_its_own_anchor_is_refused() {
    let stream = parse("a: &x\n  b: *x\n");
    let messages = stream
        .documents
        .iter()
        .flat_map(|document| &document.problems)
        .count();
    assert_eq!(messages + stream.problems.len(), 1);
}
