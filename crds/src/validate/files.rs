//! Manifests on disk and on standard input.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::collect::Collector;
use super::kinds::Schemas;
use super::report::Report;

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// How far a folder is searched for manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folders {
    /// Only the files in it.
    #[default]
    Flat,
    /// Also those in its folders.
    Recursive,
}

/// Checks the manifests in files and folders (`*.yaml`, `*.yml` and `*.json`, in the order of their names); `-` is standard input.
///
/// What cannot be read is told among the violations, so that the rest is checked all the same.
#[must_use]
pub fn validate_files(paths: &[PathBuf], folders: Folders, schemas: &Schemas) -> Report {
    let mut collector = Collector::new(schemas);
    let mut seen = HashSet::new();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            match io::read_to_string(io::stdin().lock()) {
                Ok(text) => collector.add(STANDARD_INPUT, &text),
                Err(error) => collector.refuse(STANDARD_INPUT, format!("cannot be read: {error}")),
            }
            continue;
        }
        let files = manifest_files(path, folders).unwrap_or_else(|error| {
            collector.refuse(
                &path.display().to_string(),
                format!("cannot be read: {error}"),
            );
            Vec::new()
        });
        for file in files {
            // A folder and a file in it may both be given.
            if seen.insert(fs::canonicalize(&file).unwrap_or_else(|_| file.clone())) {
                add_file(&mut collector, &file);
            }
        }
    }
    collector.finish()
}

/// Checks the documents of one text, called `file` in what is told of them.
#[must_use]
pub fn validate_text(file: &str, text: &str, schemas: &Schemas) -> Report {
    let mut collector = Collector::new(schemas);
    collector.add(file, text);
    collector.finish()
}

fn add_file(collector: &mut Collector<'_>, path: &Path) {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => collector.add(&name, &text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                collector.refuse(&name, format!("is no UTF-8 text from byte {valid} on"));
            }
        },
        Err(error) => collector.refuse(&name, format!("cannot be read: {error}")),
    }
}

/// The manifests that a path stands for: a file is one whatever its name.
///
/// # Errors
/// When the path or a folder cannot be read.
pub fn manifest_files(path: &Path, folders: Folders) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        // A link without a target is told when it is opened.
        if fs::metadata(&entry).is_ok_and(|metadata| metadata.is_dir()) {
            if folders == Folders::Recursive {
                files.extend(manifest_files(&entry, folders)?);
            }
        } else if is_manifest(&entry) {
            files.push(entry);
        }
    }
    Ok(files)
}

fn is_manifest(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden
        && path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
        })
}
