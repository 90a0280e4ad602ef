//! What a pod is given of the cluster's objects: mounted files and variables.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret};
use kube::Api;

use super::Host;
use super::text::with_paths;
use super::volume::{self, Content};

/// The file that names other files.
const WORKLOAD_FILE: &str = "workload.json";

/// Brings every volume of `pod` up to date in `folder`, and gives where each mount path of its container is; `None` when an
/// object is not there.
///
/// # Errors
/// When a file cannot be written.
pub(super) async fn files(
    host: &Host,
    folder: &Path,
    pod: &Pod,
    container: &Container,
) -> io::Result<Option<BTreeMap<String, String>>> {
    let mut folders: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut contents = Vec::new();
    for volume in pod.spec.iter().flat_map(|spec| &spec.volumes).flatten() {
        let folder = folder.join(&volume.name);
        let content = volume::fetch(&host.client, &host.namespace, volume).await;
        let folder = match content {
            Err(_) => return Ok(None),
            Ok(Content::Unknown) => continue,
            Ok(Content::Claim(claim)) => host.folder.path().join("claims").join(claim),
            Ok(Content::Empty) => folder,
            Ok(Content::Files(files)) => {
                contents.push((folder.clone(), files));
                folder
            }
        };
        fs::create_dir_all(&folder)?;
        folders.insert(volume.name.clone(), folder);
    }
    let mounts = mounts(container, &folders);
    for (folder, mut files) in contents {
        if let Some(document) = files.get_mut(WORKLOAD_FILE) {
            let text = with_paths(&String::from_utf8_lossy(document), &mounts);
            *document = text.into_bytes();
        }
        volume::write(&folder, &files)?;
    }
    Ok(Some(mounts))
}

/// Where each mount path of the container is.
fn mounts(container: &Container, folders: &BTreeMap<String, PathBuf>) -> BTreeMap<String, String> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts
        .filter_map(|mount| {
            let folder = folders.get(&mount.name)?;
            let here = mount
                .sub_path
                .as_ref()
                .map_or_else(|| folder.clone(), |path| folder.join(path));
            let path = mount.mount_path.trim_end_matches('/').to_owned();
            Some((path, here.to_string_lossy().into_owned()))
        })
        .collect()
}

/// The values of the container's variables that come from Secrets and `ConfigMaps`; `None` when an object is not there.
pub(super) async fn variables(
    host: &Host,
    container: &Container,
) -> Option<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for variable in container.env.iter().flatten() {
        let Some(source) = &variable.value_from else {
            continue;
        };
        let (is_needed, value) = value_of(host, source).await.ok()?;
        match value {
            Some(value) => values.extend([(variable.name.clone(), value)]),
            None if is_needed => return None,
            None => {}
        }
    }
    Some(values)
}

/// Whether a variable cannot do without its object, and its value.
async fn value_of(
    host: &Host,
    source: &EnvVarSource,
) -> Result<(bool, Option<String>), kube::Error> {
    let (client, namespace) = (host.client.clone(), &host.namespace);
    if let Some(key) = &source.secret_key_ref {
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        let secret = secrets.get_opt(&key.name).await?;
        let value = secret.and_then(|secret| secret.data?.remove(&key.key));
        let value = value.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
        return Ok((key.optional != Some(true), value));
    }
    let Some(key) = &source.config_map_key_ref else {
        return Ok((false, None));
    };
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let map = maps.get_opt(&key.name).await?;
    let value = map.and_then(|map| map.data?.remove(&key.key));
    Ok((key.optional != Some(true), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mount_paths_lead_to_folders() {
        let container: Container = serde_json::from_value(json!({
            "name": "workload",
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/ordermill/"},
                {"name": "data", "mountPath": "/data", "subPath": "orders"},
                {"name": "token", "mountPath": "/var/run/secrets"},
            ],
        }))
        .unwrap();
        let folders = BTreeMap::from([
            ("config".to_owned(), PathBuf::from("/tmp/x/config")),
            ("data".to_owned(), PathBuf::from("/tmp/x/data")),
        ]);
        let mounts = mounts(&container, &folders);
        let expected = [
            ("/data", "/tmp/x/data/orders"),
            ("/etc/ordermill", "/tmp/x/config"),
        ];
        let expected = expected.map(|(path, here)| (path.to_owned(), here.to_owned()));
        assert_eq!(mounts, BTreeMap::from(expected));
    }
}
