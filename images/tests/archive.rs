//! What is in the archive of an image, by the example of a program that is none.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use ordermill_images::archive::archive;
use ordermill_images::files::AUTHORITIES;
use ordermill_images::image::{self, Build, Image, LIMIT};
use ordermill_images::layer::digest;
use ordermill_images::{Architecture, Program};
use serde_json::Value;

fn build() -> Build {
    Build {
        limit: LIMIT,
        architecture: Architecture::Arm64,
        version: "0.1.0".to_owned(),
        revision: "8f14e45fceea167a5a36dedd4bea2543c1d2a3b4".to_owned(),
        created: Timestamp::from_second(1_795_000_000).unwrap(),
        source: Some("https://example.com/ordermill".to_owned()),
        registry: None,
    }
}

fn fake_image(build: &Build) -> Image {
    image::image(Program::Workload, b"the program".to_vec(), build).unwrap()
}

/// The entries of a tar: a line each with all that its header says, and the contents by path.
fn entries(bytes: &[u8]) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
    let mut lines = Vec::new();
    let mut contents = BTreeMap::new();
    let mut tar = tar::Archive::new(bytes);
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let header = entry.header();
        lines.push(format!(
            "{:?} {:o} {}:{} @{} {path}",
            header.entry_type(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap(),
        ));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        contents.insert(path, content);
    }
    (lines, contents)
}

fn json(contents: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
    serde_json::from_slice(&contents[path]).unwrap()
}

/// The path in the archive of what a descriptor stands for.
fn blob(descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().unwrap();
    format!("blobs/{}", digest.replace(':', "/"))
}

fn uncompressed(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(layer).read_to_end(&mut tar).unwrap();
    tar
}

#[test]
fn the_archive_is_a_layout_and_what_docker_loads() {
    let build = build();
    let image = fake_image(&build);
    let (lines, contents) = entries(&archive(&image, build.epoch()).unwrap());
    let layer = &contents[&format!("blobs/sha256/{}", image.layer.compressed.digest)];
    let (layer_lines, files) = entries(&uncompressed(layer));
    // Blobs stand in the order of their digests.
    let lines = lines.iter().map(|line| match line.split_once("sha256/") {
        Some((before, digest)) if !digest.is_empty() => format!("{before}sha256/DIGEST\n"),
        _ => format!("{line}\n"),
    });
    let mut text: String = lines.collect();
    write!(text, "\nthe layer\n{}\n", layer_lines.join("\n")).unwrap();
    for path in ["etc/group", "etc/nsswitch.conf", "etc/passwd"] {
        write!(text, "\n{path}\n{}", String::from_utf8_lossy(&files[path])).unwrap();
    }
    let manifest = format!("blobs/sha256/{}", image.manifest.digest);
    let config = format!("blobs/sha256/{}", image.config.digest);
    for path in [
        "oci-layout",
        "index.json",
        "manifest.json",
        &manifest,
        &config,
    ] {
        let mut document = json(&contents, path);
        for pointer in ["/manifests/0/size", "/config/size", "/layers/0/size"] {
            if let Some(size) = document.pointer_mut(pointer) {
                *size = "SIZE".into();
            }
        }
        document.sort_all_objects();
        let document = serde_json::to_string_pretty(&document).unwrap();
        write!(text, "\n{path}\n{document}\n").unwrap();
    }
    // The authorities change from release to release of their crate, and with them every digest and size.
    for (digest, name) in [
        (&image.layer.compressed.digest, "LAYER"),
        (&image.layer.tar_digest, "TAR"),
        (&image.config.digest, "CONFIG"),
        (&image.manifest.digest, "MANIFEST"),
    ] {
        text = text.replace(digest, name);
    }
    insta::assert_snapshot!(text);
    assert!(files[AUTHORITIES].starts_with(b"-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(files["ordermill-workload"], b"the program");
}

#[test]
fn every_digest_and_size_is_that_of_its_bytes() {
    let build = build();
    let (_, contents) = entries(&archive(&fake_image(&build), build.epoch()).unwrap());
    for (path, content) in &contents {
        if let Some(name) = path.strip_prefix("blobs/sha256/")
            && !name.is_empty()
        {
            assert_eq!(digest(content), name);
        }
    }
    let index = json(&contents, "index.json");
    let manifest_path = blob(&index["manifests"][0]);
    let manifest = json(&contents, &manifest_path);
    for descriptor in [
        &index["manifests"][0],
        &manifest["config"],
        &manifest["layers"][0],
    ] {
        assert_eq!(descriptor["size"], contents[&blob(descriptor)].len());
    }
    let docker = json(&contents, "manifest.json");
    assert_eq!(docker[0]["Config"], blob(&manifest["config"]));
    assert_eq!(docker[0]["Layers"][0], blob(&manifest["layers"][0]));
    let config = json(&contents, &blob(&manifest["config"]));
    let tar = uncompressed(&contents[&blob(&manifest["layers"][0])]);
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        format!("sha256:{}", digest(&tar))
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let build = build();
    let bytes = |build: &Build| archive(&fake_image(build), build.epoch()).unwrap();
    assert_eq!(bytes(&build), bytes(&build));
    let later = Build {
        created: Timestamp::from_second(1_795_000_001).unwrap(),
        ..build.clone()
    };
    assert_ne!(bytes(&build), bytes(&later));
}

#[test]
fn an_image_of_a_registry_is_named_by_it() {
    let build = Build {
        registry: Some("ghcr.io/somebody".to_owned()),
        ..build()
    };
    let (_, contents) = entries(&archive(&fake_image(&build), build.epoch()).unwrap());
    let name = "ghcr.io/somebody/ordermill-workload:0.1.0";
    assert_eq!(json(&contents, "manifest.json")[0]["RepoTags"][0], name);
    let annotations = &json(&contents, "index.json")["manifests"][0]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], name);
}

#[test]
fn what_is_too_large_is_refused() {
    let others = fake_image(&build()).layer.files_size - b"the program".len() as u64;
    let image = |size: u64| {
        let size = usize::try_from(size - others).unwrap();
        image::image(Program::Operator, vec![0; size], &build())
    };
    assert_eq!(
        image(LIMIT).unwrap_err().to_string(),
        "ordermill-operator has 30000000 bytes, and less than 30000000 are allowed"
    );
    assert_eq!(image(LIMIT - 1).unwrap().layer.files_size, LIMIT - 1);
}
