//! The files of a bundle, and the archive that they become.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::Value;

use super::redact::Redactor;

/// A bundle in the making.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    files: BTreeMap<String, String>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
    /// What was cut, and where.
    pub(super) cut: Vec<String>,
    redactor: Redactor,
}

impl Bundle {
    /// Adds an object as YAML, without credentials.
    pub(super) fn object(&mut self, path: String, object: Value) {
        let object = self.redactor.object(object);
        match serde_yaml::to_string(&object) {
            Ok(text) => {
                self.files.insert(path, text);
            }
            Err(error) => self.unread.push(format!("{path}: {error}")),
        }
    }

    /// Adds a document as JSON, without credentials.
    pub(super) fn json(&mut self, path: String, document: Value) {
        let document = self.redactor.object(document);
        self.files.insert(path, format!("{document:#}\n"));
    }

    /// Adds a text, without credentials.
    pub(super) fn text(&mut self, path: String, text: &str) {
        let text = self.redactor.text(text);
        self.files.insert(path, text);
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// What is in it, what is not, and why; `about` says what was asked for.
    pub(super) fn read_me(&mut self, about: &[String]) {
        let mut lines = about.to_vec();
        lines.push(String::new());
        lines.push("Left out:".to_owned());
        lines.push("- Secrets: they are never read.".to_owned());
        lines.push(format!(
            "- What may be a credential, by its name or its form: {} values, replaced by {}.",
            self.redactor.replaced,
            super::redact::REDACTED
        ));
        lines.push("- managedFields, and the annotation that kubectl apply keeps.".to_owned());
        lines.push("- Everything but metadata and status of Kafka and KafkaUser.".to_owned());
        lines.extend(self.cut.iter().map(|cut| format!("- {cut}")));
        lines.push("Look through it before you pass it on: names of hosts, topics and namespaces are in it.".to_owned());
        lines.push(String::new());
        if self.unread.is_empty() {
            lines.push("Everything else that was looked for could be read.".to_owned());
        } else {
            lines.push("Could not be read:".to_owned());
            lines.extend(self.unread.iter().map(|what| format!("- {what}")));
        }
        lines.push(String::new());
        self.files.insert("README.txt".to_owned(), lines.join("\n"));
    }

    /// Writes the archive: all files in one folder.
    pub(super) fn write(&self, folder: &str, now: Timestamp, out: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::default()));
        for (path, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now.as_second().unsigned_abs());
            archive.append_data(&mut header, format!("{folder}/{path}"), text.as_bytes())?;
        }
        archive.into_inner()?.finish()?.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_archive_holds_every_file_and_says_what_is_missing() {
        let mut bundle = Bundle::default();
        let long = "n".repeat(200);
        bundle.object(
            format!("namespaces/a/pods/{long}.yaml"),
            json!({"password": "hunter2"}),
        );
        bundle.text("a.log".to_owned(), "password=hunter2\n");
        bundle.unread.push("pods of b: you may not".to_owned());
        bundle.read_me(&["About".to_owned()]);
        let mut archive = Vec::new();
        bundle
            .write("report", Timestamp::UNIX_EPOCH, &mut archive)
            .unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let mut files = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.insert(path, text);
        }
        let read_me = &files["report/README.txt"];
        assert!(read_me.starts_with("About\n"), "{read_me}");
        assert!(
            read_me.contains("2 values") && read_me.contains("- pods of b: you may not"),
            "{read_me}"
        );
        assert_eq!(files["report/a.log"], "password=[redacted]\n");
        assert!(files.contains_key(&format!("report/namespaces/a/pods/{long}.yaml")));
    }
}
