//! Resources for tests, as they are written in YAML.

use crate::cluster::{Kind, Resource};

pub(crate) fn resource(kind: Kind, yaml: &str) -> Resource {
    Resource::new(kind, serde_yaml::from_str(yaml).unwrap())
}
