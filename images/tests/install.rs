//! `images/install`, with programs in the place of kubectl, Helm and those that load archives, which write down how they
//! were called.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// What became of an installation.
struct Outcome {
    success: bool,
    errors: String,
    /// A line for each call.
    calls: String,
}

/// Installs into the cluster of `context`.
fn install(context: &str, load: Option<&str>, arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    let calls = folder.path().join("calls");
    fs::create_dir(&programs).unwrap();
    for name in [
        "kubectl", "helm", "kind", "k3d", "minikube", "docker", "mine",
    ] {
        let answer = if name == "kubectl" { context } else { "" };
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >>{}\necho {answer}\n",
            calls.display()
        );
        let path = programs.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["ordermill-operator.tar", "ordermill-workload.tar"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("install"));
    command
        .arg(folder.path())
        .args(arguments)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env_remove("ORDERMILL_LOAD");
    if let Some(load) = load {
        command.env("ORDERMILL_LOAD", load);
    }
    let output = command.output().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    Outcome {
        success: output.status.success(),
        errors: String::from_utf8(output.stderr).unwrap(),
        calls: fs::read_to_string(calls)
            .unwrap()
            .replace(folder.to_str().unwrap(), "FOLDER"),
    }
}

#[test]
fn images_are_loaded_and_both_charts_installed() {
    let outcome = install("kind-mill", None, &["--set", "operator.replicas=1"]);
    assert!(outcome.success, "{}", outcome.errors);
    insta::assert_snapshot!(outcome.calls);
}

#[test]
fn each_kind_of_cluster_gets_images_in_its_own_way() {
    for (context, load, call) in [
        ("k3d-mill", None, "k3d image import --cluster mill"),
        ("minikube", None, "minikube image load"),
        ("docker-desktop", None, "docker load --input"),
        ("prod", Some("mine --to prod"), "mine --to prod"),
        ("kind-mill", Some("mine"), "mine"),
    ] {
        let outcome = install(context, load, &[]);
        assert!(outcome.success, "{context}: {}", outcome.errors);
        let call = format!("{call} FOLDER/ordermill-workload.tar");
        assert!(
            outcome.calls.lines().any(|line| line == call),
            "{context}: {}",
            outcome.calls
        );
    }
}

#[test]
fn a_cluster_that_is_not_known_is_left_alone() {
    let outcome = install("prod", None, &[]);
    assert!(!outcome.success);
    assert!(
        outcome.errors.starts_with(
            "Nothing is installed: how the cluster of the context prod gets images is not known."
        ),
        "{}",
        outcome.errors
    );
    assert_eq!(outcome.calls, "kubectl config current-context\n");
}
