//! Volumes: what is in them, and how it gets to a folder as a kubelet does it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, KeyToPath, Secret, Volume, VolumeProjection};
use kube::{Api, Client};

use crate::unique;

/// File names and contents.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What a volume holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Objects of the cluster as files.
    Files(Files),
    /// An empty folder that goes with the pod.
    Empty,
    /// A folder that stays for the next pod with the same claim.
    Claim(String),
    /// What this stand-in does not know: nothing is mounted.
    Unknown,
}

/// Asks the cluster for what `volume` holds.
///
/// # Errors
/// [`kube::Error`], also when an object is not there that is not optional: the pod must wait for it.
pub(super) async fn fetch(
    client: &Client,
    namespace: &str,
    volume: &Volume,
) -> Result<Content, kube::Error> {
    let source = Source { client, namespace };
    if let Some(map) = &volume.config_map {
        let files = source
            .config_map(&map.name, map.items.as_deref(), map.optional)
            .await?;
        return Ok(Content::Files(files));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let files = source
            .secret(name, secret.items.as_deref(), secret.optional)
            .await?;
        return Ok(Content::Files(files));
    }
    if let Some(projected) = &volume.projected {
        let mut files = Files::new();
        for part in projected.sources.iter().flatten() {
            files.extend(source.projection(part).await?);
        }
        return Ok(Content::Files(files));
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return Ok(Content::Claim(claim.claim_name.clone()));
    }
    Ok(match &volume.empty_dir {
        Some(_) => Content::Empty,
        None => Content::Unknown,
    })
}

struct Source<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl Source<'_> {
    async fn config_map(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<Files, kube::Error> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace);
        let map = found(maps.get(name).await, optional)?.unwrap_or_default();
        let texts = map.data.unwrap_or_default().into_iter();
        let bytes = map.binary_data.unwrap_or_default().into_iter();
        let files = texts
            .map(|(name, text)| (name, text.into_bytes()))
            .chain(bytes.map(|(name, bytes)| (name, bytes.0)));
        Ok(selected(files.collect(), items))
    }

    async fn secret(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<Files, kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        let secret = found(secrets.get(name).await, optional)?.unwrap_or_default();
        let files = secret.data.unwrap_or_default().into_iter();
        Ok(selected(
            files.map(|(name, bytes)| (name, bytes.0)).collect(),
            items,
        ))
    }

    /// Tokens and the downward API are left out.
    async fn projection(&self, part: &VolumeProjection) -> Result<Files, kube::Error> {
        if let Some(map) = &part.config_map {
            return self
                .config_map(&map.name, map.items.as_deref(), map.optional)
                .await;
        }
        match &part.secret {
            Some(secret) => {
                self.secret(&secret.name, secret.items.as_deref(), secret.optional)
                    .await
            }
            None => Ok(Files::new()),
        }
    }
}

/// What is there, or nothing where that is allowed.
fn found<T>(
    outcome: Result<T, kube::Error>,
    optional: Option<bool>,
) -> Result<Option<T>, kube::Error> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == 404 && optional == Some(true) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// The files that `items` names, under the paths that it gives; all of them without `items`.
fn selected(mut files: Files, items: Option<&[KeyToPath]>) -> Files {
    let Some(items) = items else { return files };
    items
        .iter()
        .filter_map(|item| Some((item.path.clone(), files.remove(&item.key)?)))
        .collect()
}

/// Puts `files` into `folder` in one step, as a kubelet does: readers follow `..data`, which is swapped. Nothing happens when
/// they are there already.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(folder: &Path, files: &Files) -> io::Result<()> {
    let data = folder.join("..data");
    let old = fs::read_link(&data).ok().map(|name| folder.join(name));
    if let Some(old) = &old
        && read(old)? == *files
    {
        return Ok(());
    }
    let name = unique("..version");
    let version = folder.join(&name);
    fs::create_dir_all(&version)?;
    for (name, content) in files {
        let path = version.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&version))?;
        fs::write(path, content)?;
    }
    let draft = folder.join("..data_tmp");
    symlink(&name, &draft)?;
    fs::rename(&draft, &data)?;
    let first = |name: &String| name.split('/').next().unwrap_or_default().to_owned();
    let visible: BTreeSet<String> = files.keys().map(first).collect();
    for name in &visible {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link)?;
        }
    }
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !visible.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    old.map_or(Ok(()), fs::remove_dir_all)
}

/// All files below `folder`, by their paths in it.
fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                files.insert(name.to_string_lossy().into_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Files {
        entries
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn a_change_is_seen_whole_through_the_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, &files(&[("a", "1"), ("old", "x")])).unwrap();
        let before = fs::read_link(path.join("..data")).unwrap();
        write(path, &files(&[("a", "1"), ("old", "x")])).unwrap();
        assert_eq!(fs::read_link(path.join("..data")).unwrap(), before);
        write(path, &files(&[("a", "2"), ("sub/b", "3")])).unwrap();
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "2");
        assert_eq!(fs::read_to_string(path.join("sub/b")).unwrap(), "3");
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(names[0], "..data");
        assert_eq!(names[2..], ["a", "sub"]);
    }

    #[test]
    fn items_choose_and_rename() {
        let items = [KeyToPath {
            key: "tls.crt".to_owned(),
            path: "user.crt".to_owned(),
            mode: None,
        }];
        let all = files(&[("tls.crt", "c"), ("tls.key", "k")]);
        assert_eq!(
            selected(all.clone(), Some(&items)),
            files(&[("user.crt", "c")])
        );
        assert_eq!(selected(all.clone(), None), all);
    }

    #[test]
    fn only_optional_objects_may_be_absent() {
        let absent = || {
            let status = kube::core::Status::failure("gone", "NotFound").with_code(404);
            Err::<(), _>(kube::Error::Api(status.boxed()))
        };
        assert!(found(absent(), None).is_err());
        assert_eq!(found(absent(), Some(true)).unwrap(), None);
    }
}
