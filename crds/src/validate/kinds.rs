//! The kinds of the group, with the schemas of their definitions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::path::FieldPath;
use super::schema::{Finding, SchemaError, SchemaNode, nearest, one_of};
use crate::DefinitionError;

/// Why the definitions cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum SchemasError {
    /// The definitions of this build do not serialize.
    #[error("the custom resource definitions of this build cannot be rendered")]
    Definition(#[from] DefinitionError),
    /// A definition is no JSON.
    #[error("a custom resource definition cannot be rendered as JSON")]
    Json(#[from] serde_json::Error),
    /// A schema is not understood.
    #[error("the schema of {kind} cannot be applied")]
    Schema {
        /// The kind.
        kind: String,
        /// What is not understood.
        #[source]
        source: SchemaError,
    },
}

/// The schemas of all kinds of one API group, read once and used for any number of documents.
#[derive(Debug)]
pub struct Schemas {
    group: String,
    /// By version, then by kind.
    versions: BTreeMap<String, BTreeMap<String, Kind>>,
}

/// One kind in one version.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) schema: SchemaNode,
}

impl Schemas {
    /// The schemas of the four kinds of this build.
    ///
    /// # Errors
    /// When a definition has a keyword that is not understood here, which a test excludes.
    pub fn of_this_build() -> Result<Self, SchemasError> {
        let definitions = crate::definitions()?;
        let definitions: Vec<Value> = definitions
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()?;
        Self::from_definitions(crate::GROUP, &definitions)
    }

    /// The schemas in `definitions`: `CustomResourceDefinition` objects of one group as JSON.
    ///
    /// # Errors
    /// When a definition has no schema, or one with a keyword that is not understood here.
    pub fn from_definitions(group: &str, definitions: &[Value]) -> Result<Self, SchemasError> {
        let mut versions: BTreeMap<String, BTreeMap<String, Kind>> = BTreeMap::new();
        for definition in definitions {
            let spec = &definition["spec"];
            let kind = spec["names"]["kind"].as_str().unwrap_or_default();
            let refuse = |source| SchemasError::Schema {
                kind: kind.to_owned(),
                source,
            };
            for version in spec["versions"].as_array().into_iter().flatten() {
                let name = version["name"].as_str().unwrap_or_default();
                let schema = version.pointer("/schema/openAPIV3Schema").ok_or_else(|| {
                    refuse(SchemaError::Missing {
                        name: kind.to_owned(),
                    })
                })?;
                let schema = SchemaNode::read(schema).map_err(refuse)?;
                versions
                    .entry(name.to_owned())
                    .or_default()
                    .insert(kind.to_owned(), Kind { schema });
            }
        }
        Ok(Self {
            group: group.to_owned(),
            versions,
        })
    }

    /// The kind that a document names; none where it is of another group.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Result<Option<&Kind>, Finding> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let is_ours = group == self.group;
        let is_slip = || self.is_meant_as_ours(group) && self.knows(kind);
        if !is_ours && !is_slip() {
            return Ok(None);
        }
        let Some(kinds) = self.versions.get(version).filter(|_| is_ours) else {
            let versions = self.versions.keys();
            let known: Vec<String> = versions
                .map(|version| format!("{}/{version}", self.group))
                .collect();
            return Err(unknown(
                "apiVersion",
                api_version,
                known.iter().map(String::as_str),
            ));
        };
        let known = kinds.keys().map(String::as_str);
        kinds
            .get(kind)
            .map(Some)
            .ok_or_else(|| unknown("kind", kind, known))
    }

    /// A group that differs from ours by a slip of the pen (`ordermil.dev`) would else be skipped in silence.
    fn is_meant_as_ours(&self, group: &str) -> bool {
        nearest(group, &[self.group.as_str()]).is_some()
    }

    fn knows(&self, kind: &str) -> bool {
        self.versions.values().any(|kinds| kinds.contains_key(kind))
    }
}

fn unknown<'a>(field: &str, found: &str, known: impl Iterator<Item = &'a str>) -> Finding {
    let known: Vec<&str> = known.collect();
    let problem = one_of(Some(found), &known);
    Finding::on(
        &FieldPath::root().field(field),
        &Value::from(found),
        problem,
    )
}
