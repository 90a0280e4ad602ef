//! The resources in the manifest files, and what an edit changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ordermill_crds::validate::{Folders, Manifest, Schemas, Violation, validate_files};

/// What the files hold.
pub(super) struct Manifests {
    pub objects: BTreeMap<ResourceKey, Manifest>,
    pub violations: Vec<Violation>,
}

/// What tells a resource from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ResourceKey {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

/// Reads and checks every file. Folders are searched with the folders in them, so that `-f examples` finds every system.
pub(super) fn load(paths: &[PathBuf], schemas: &Schemas) -> Manifests {
    let report = validate_files(paths, Folders::Recursive, schemas);
    let objects = report.objects.into_iter().map(|manifest| {
        let key = ResourceKey {
            kind: manifest.kind.clone(),
            namespace: manifest
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
            name: manifest.name.clone(),
        };
        (key, manifest)
    });
    Manifests {
        objects: objects.collect(),
        violations: report.violations,
    }
}

impl Manifests {
    /// The resources that are gone for good: not in the files any more, and their file is in order. A file with a violation
    /// may still mean to have them.
    pub(super) fn gone<'a>(
        &self,
        running: impl IntoIterator<Item = (&'a ResourceKey, &'a str)>,
    ) -> Vec<ResourceKey> {
        let broken: BTreeSet<_> = self.violations.iter().map(|it| it.file.as_str()).collect();
        running
            .into_iter()
            .filter(|(key, file)| !self.objects.contains_key(*key) && !broken.contains(file))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

/// The folders whose changes matter.
pub(super) fn folders(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let folder_of = |path: &PathBuf| {
        if path.is_dir() {
            return path.clone();
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).to_owned()
    };
    paths.iter().map(folder_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        std::fs::write(folder.join(file), text).unwrap();
    }

    fn producer(name: &str) -> String {
        format!(
            "apiVersion: ordermill.dev/v1alpha1\nkind: OrderProducer\nmetadata: {{name: {name}}}\n\
             spec: {{model: WoodOrder}}\n---\n"
        )
    }

    #[test]
    fn a_resource_is_gone_only_where_its_file_is_in_order() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            "a.yaml",
            &(producer("one") + &producer("two")),
        );
        write(folder.path(), "b.yaml", &producer("three"));
        let paths = [folder.path().to_owned()];
        let schemas = Schemas::of_this_build().unwrap();
        let before = load(&paths, &schemas);
        assert_eq!(before.objects.len(), 3);
        let running = || {
            before
                .objects
                .iter()
                .map(|(key, it)| (key, it.file.as_str()))
        };

        write(folder.path(), "a.yaml", &producer("two"));
        std::fs::remove_file(folder.path().join("b.yaml")).unwrap();
        let names =
            |keys: Vec<ResourceKey>| -> Vec<_> { keys.into_iter().map(|key| key.name).collect() };
        assert_eq!(
            names(load(&paths, &schemas).gone(running())),
            ["one", "three"]
        );

        write(folder.path(), "a.yaml", "kind: [");
        assert_eq!(names(load(&paths, &schemas).gone(running())), ["three"]);
    }
}
