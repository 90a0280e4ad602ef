//! The Dockerfile says of the images what the archives say: no builder is at hand to compare them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use ordermill_images::image::{self, Build};
use ordermill_images::{Architecture, Program};
use serde_json::{Value, json};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The instructions of a Dockerfile with their arguments, in stages; what stands before the first stage is one too.
fn stages(dockerfile: &str) -> Vec<Vec<(String, String)>> {
    let mut stages = vec![Vec::new()];
    let whole_lines = dockerfile.replace("\\\n", "");
    for line in whole_lines.lines().filter(|line| !line.starts_with('#')) {
        let Some((instruction, argument)) = line.split_once(' ') else {
            continue;
        };
        if instruction == "FROM" {
            stages.push(Vec::new());
        }
        let stage = stages.last_mut().unwrap();
        stage.push((instruction.to_owned(), argument.to_owned()));
    }
    stages
}

/// The configuration of the image that is built with `PROGRAM`, `REVISION` and `CREATED` as in `arguments`.
fn config(dockerfile: &str, arguments: &[(&str, &str)]) -> Value {
    let replaced = |text: &str| {
        let mut text = text.to_owned();
        for (name, value) in arguments {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        text
    };
    let stages = stages(dockerfile);
    let last = stages.last().unwrap();
    let base = replaced(&last[0].1);
    let base = stages
        .iter()
        .find(|stage| stage[0].1 == format!("scratch AS {base}"))
        .unwrap();
    let mut config = json!({"WorkingDir": "/", "Env": [], "Labels": {}});
    for (instruction, argument) in base.iter().chain(last) {
        let argument = replaced(argument);
        match instruction.as_str() {
            "LABEL" => {
                let (name, value) = argument.split_once('=').unwrap();
                config["Labels"][name] = json!(value.trim_matches('"'));
            }
            "ENV" => config["Env"].as_array_mut().unwrap().push(json!(argument)),
            "USER" => config["User"] = json!(argument),
            "ENTRYPOINT" => {
                config["Entrypoint"] = serde_json::from_str(&argument).unwrap();
            }
            "COPY" => config["copied"] = json!(argument),
            "FROM" | "ARG" => {}
            other => unreachable!("{other} is not compared"),
        }
    }
    config
}

#[test]
fn both_images_are_configured_as_in_the_archives() {
    let dockerfile = read("Dockerfile");
    let build = Build {
        architecture: Architecture::Amd64,
        limit: image::LIMIT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: "8f14e45f".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        source: None,
        registry: None,
    };
    for program in Program::ALL {
        let image = image::image(program, Vec::new(), &build).unwrap();
        let mut archived: Value = serde_json::from_slice(&image.config.bytes).unwrap();
        // All files of the image are in the folder that `ordermill-images roots` writes for it.
        archived["config"]["copied"] = json!(format!("--from=build /roots/{}/ /", program.name()));
        let created = build.created.to_string();
        let arguments = [
            ("PROGRAM", program.name()),
            ("REVISION", "8f14e45f"),
            ("CREATED", &created),
        ];
        assert_eq!(config(&dockerfile, &arguments), archived["config"]);
    }
}

#[test]
fn the_compiler_is_that_of_the_toolchain_everywhere() {
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = \""))
        .unwrap()
        .trim_end_matches('"');
    for (file, uses) in [("Dockerfile", 2), (".github/workflows/release.yaml", 2)] {
        let text = read(file);
        let found: BTreeMap<&str, usize> = text
            .split(|character: char| !(character.is_ascii_digit() || character == '.'))
            .filter(|word| *word == version)
            .fold(BTreeMap::new(), |mut counts, word| {
                *counts.entry(word).or_default() += 1;
                counts
            });
        assert_eq!(found.get(version), Some(&uses), "{version} in {file}");
    }
}
