//! Our kinds by every name that kubectl takes.

use std::fmt;
use std::str::FromStr;

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use ordermill_crds::{GROUP, VERSION};
use serde::{Serialize, Serializer};

/// One of our kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Producer,
    Consumer,
    Worker,
    Backend,
}

/// All of them, in the order that they are shown in.
pub(crate) const KINDS: [Kind; 4] = [Kind::Producer, Kind::Consumer, Kind::Worker, Kind::Backend];

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "OrderProducer",
            Self::Consumer => "StreamConsumer",
            Self::Worker => "Worker",
            Self::Backend => "Backend",
        }
    }

    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Producer => "orderproducers",
            Self::Consumer => "streamconsumers",
            Self::Worker => "workers",
            Self::Backend => "backends",
        }
    }

    const fn short(self) -> &'static str {
        match self {
            Self::Producer => "oprod",
            Self::Consumer => "scons",
            Self::Worker => "owork",
            Self::Backend => "obe",
        }
    }

    pub(crate) fn api_resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(GROUP, VERSION, self.as_str());
        ApiResource::from_gvk_with_plural(&kind, self.plural())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The name of no kind of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is no kind of ours: use orderproducer (oprod), streamconsumer (scons), worker (owork) or backend (obe)"
)]
pub(crate) struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let name = text.to_ascii_lowercase();
        // kubectl takes the group and the version behind the name: workers.v1alpha1.ordermill.dev.
        let name = name.strip_suffix(&format!(".{GROUP}")).unwrap_or(&name);
        let name = name.strip_suffix(&format!(".{VERSION}")).unwrap_or(name);
        KINDS
            .into_iter()
            .find(|kind| {
                // Every singular name is the kind in lower case.
                [kind.plural(), kind.short()].contains(&name)
                    || kind.as_str().to_ascii_lowercase() == name
            })
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// KIND/NAME as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.name)
    }
}

/// Why a text is no [`Reference`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReferenceError {
    #[error("use KIND/NAME, such as orderproducer/customer")]
    Form,
    #[error(transparent)]
    Kind(#[from] UnknownKind),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (kind, name) = text.split_once('/').ok_or(ReferenceError::Form)?;
        if name.is_empty() || name.contains('/') {
            return Err(ReferenceError::Form);
        }
        Ok(Self {
            kind: kind.parse()?,
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ordermill_crds::definitions;

    use super::*;

    #[test]
    fn every_name_of_the_definitions_leads_to_its_kind() {
        let definitions = definitions().unwrap();
        assert_eq!(definitions.len(), KINDS.len());
        for (definition, kind) in definitions.iter().zip(KINDS) {
            let names = &definition.spec.names;
            assert_eq!(
                (names.kind.as_str(), names.plural.as_str()),
                (kind.as_str(), kind.plural())
            );
            let full = definition.metadata.name.clone();
            let given = [names.singular.clone(), Some(names.plural.clone()), full]
                .into_iter()
                .flatten()
                .chain(names.short_names.clone().unwrap());
            for name in given {
                assert_eq!(name.parse(), Ok(kind), "{name}");
                assert_eq!(name.to_uppercase().parse(), Ok(kind), "{name}");
            }
            assert_eq!(
                format!("{}.v1alpha1.ordermill.dev", kind.plural()).parse(),
                Ok(kind)
            );
        }
    }

    #[test]
    fn a_reference_has_a_kind_and_a_name() {
        let reference: Reference = "OPROD/a.b".parse().unwrap();
        assert_eq!(reference.to_string(), "OrderProducer/a.b");
        for wrong in ["a", "oprod/", "oprod/a/b", "/a"] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
        let error = "pod/a".parse::<Reference>().unwrap_err();
        assert!(
            error.to_string().starts_with("pod is no kind of ours"),
            "{error}"
        );
    }
}
