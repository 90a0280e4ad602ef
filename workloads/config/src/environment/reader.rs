//! Reading variables one by one, and keeping what is wrong with each.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ordermill_crds::Topic;
use ordermill_crds::values::TopicName;

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentError {
    /// The variable.
    pub variable: &'static str,
    /// What it holds.
    pub found: String,
    /// What would be allowed.
    pub allowed: String,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variable,
            found,
            allowed,
        } = self;
        write!(formatter, "{variable}={found:?} cannot be used: {allowed}")
    }
}

/// Everything that is wrong with the variables, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentErrors(pub Vec<EnvironmentError>);

impl fmt::Display for EnvironmentErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for EnvironmentErrors {}

/// The variables, and what was found wrong so far.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) errors: Vec<EnvironmentError>,
}

impl<'a> Reader<'a> {
    /// Nothing is read yet, so nothing is wrong yet.
    pub(super) const fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self {
            variables,
            errors: Vec::new(),
        }
    }
}

impl Reader<'_> {
    /// The first of the names that is set and not empty.
    pub(super) fn text(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| {
            let value = self.variables.get(*name)?.trim();
            (!value.is_empty()).then(|| (*name, value.to_owned()))
        })
    }

    pub(super) fn refuse(
        &mut self,
        variable: &'static str,
        found: String,
        allowed: impl Into<String>,
    ) {
        let allowed = allowed.into();
        self.errors.push(EnvironmentError {
            variable,
            found,
            allowed,
        });
    }

    pub(super) fn read<T>(
        &mut self,
        names: &[&'static str],
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (name, found) = self.text(names)?;
        match parse(&found) {
            Ok(value) => Some(value),
            Err(allowed) => {
                self.refuse(name, found, allowed);
                None
            }
        }
    }

    pub(super) fn value<T: FromStr<Err: fmt::Display>>(
        &mut self,
        names: &[&'static str],
    ) -> Option<T> {
        self.read(names, |text| {
            text.parse::<T>().map_err(|error| error.to_string())
        })
    }

    pub(super) fn integer(
        &mut self,
        name: &'static str,
        minimum: i64,
        maximum: i64,
    ) -> Option<i64> {
        self.read(&[name], |text| {
            let value = text.parse::<i64>().ok();
            value
                .filter(|value| (minimum..=maximum).contains(value))
                .ok_or_else(|| format!("must be a whole number between {minimum} and {maximum}"))
        })
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.read(&[name], |text| {
            let chosen = choices
                .iter()
                .find(|(choice, _)| choice.eq_ignore_ascii_case(text));
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                format!("must be one of {}", names.join(", "))
            })
        })
    }

    pub(super) fn topic(&mut self, name: &'static str) -> Option<Topic> {
        self.value::<TopicName>(&[name]).map(Topic::named)
    }
}
