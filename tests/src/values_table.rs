//! The table of a chart's values, from the comments of its `values.yaml`.

use std::fmt::Write as _;

/// A value of the chart.
struct Value {
    /// `operator.image`.
    name: String,
    default: String,
    /// What the comment above it says.
    meaning: String,
}

/// The page that lists every value with its default and its comment.
#[must_use]
pub fn page(chart: &str, about: &str, values: &str) -> String {
    let mut page =
        format!("# The chart {chart}\n\n{about}\n\n| Value | Default | Meaning |\n|---|---|---|\n");
    for Value {
        name,
        default,
        meaning,
    } in read(values)
    {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{name}` | `{}` | {} |",
            cell(&default),
            cell(&meaning)
        );
    }
    page
}

/// The page of the operator's chart.
#[must_use]
pub fn page_of_ordermill(values: &str) -> String {
    page(
        "ordermill",
        "The operator and its rights; the chart `ordermill-crds` comes first. Values are checked against `values.schema.json`.\n\
         This page is made from `values.yaml` by `make generate`.",
        values,
    )
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Every key that has a value on its line, in the order of the file. A comment belongs to the key below it.
fn read(values: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment = String::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        if let Some(words) = text.strip_prefix('#') {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(words.trim());
            continue;
        }
        let Some((key, value)) = text.split_once(':') else {
            comment.clear();
            continue;
        };
        parents.retain(|(of, _)| *of < indentation);
        let names = parents.iter().map(|(_, name)| name.as_str()).chain([key]);
        let name = names.collect::<Vec<_>>().join(".");
        let meaning = std::mem::take(&mut comment);
        if value.trim().is_empty() {
            parents.push((indentation, key.to_owned()));
        } else {
            found.push(Value {
                name,
                default: value.trim().to_owned(),
                meaning,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_the_key_below() {
        let page = page(
            "mill",
            "A mill.",
            "# What is ground:\n# any grain.\ngrain: \"\"\nstone:\n  # Either | or.\n  turns: 3\n  size: {width: 1}\nwind: true\n",
        );
        assert_eq!(
            page,
            "# The chart mill\n\nA mill.\n\n| Value | Default | Meaning |\n|---|---|---|\n\
             | `grain` | `\"\"` | What is ground: any grain. |\n\
             | `stone.turns` | `3` | Either \\| or. |\n\
             | `stone.size` | `{width: 1}` |  |\n\
             | `wind` | `true` |  |\n"
        );
    }

    #[test]
    fn every_value_of_the_chart_has_a_meaning() {
        let values = include_str!("../../charts/ordermill/values.yaml");
        let silent: Vec<String> = read(values)
            .into_iter()
            .filter(|value| value.meaning.is_empty())
            .map(|value| value.name)
            .collect();
        assert!(silent.is_empty(), "{silent:?}");
    }

    #[test]
    fn the_page_of_the_chart_is_that_of_its_values() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ordermill");
        let read = |file| std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        assert_eq!(
            read("README.md"),
            page_of_ordermill(&read("values.yaml")),
            "run make generate"
        );
    }
}
