//! Gathers the checks of many texts into one report.

use std::collections::BTreeMap;

use super::document::{Position, parse};
use super::kinds::Schemas;
use super::object::{Checked, check_document, violation_of};
use super::path::FieldPath;
use super::report::{Manifest, ObjectName, Report, Violation};

/// The checks of the texts so far.
pub(super) struct Collector<'a> {
    schemas: &'a Schemas,
    report: Report,
    /// Valid resources with the place of each, until it is known which are given twice.
    objects: Vec<(Position, Manifest)>,
    first_places: BTreeMap<ObjectName, (String, Position)>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(schemas: &'a Schemas) -> Self {
        Self {
            schemas,
            report: Report::default(),
            objects: Vec::new(),
            first_places: BTreeMap::new(),
        }
    }

    /// Checks every document of a text.
    pub(super) fn add(&mut self, file: &str, text: &str) {
        let stream = parse(text);
        let mut violations: Vec<Violation> = Vec::new();
        for problem in &stream.problems {
            violations.push(violation_of(file, &ObjectName::default(), problem));
        }
        let (objects_before, skipped_before, notes_before) = (
            self.objects.len(),
            self.report.skipped.len(),
            self.report.notes.len(),
        );
        for document in &stream.documents {
            for checked in check_document(file, document, self.schemas) {
                self.take(file, checked, &mut violations);
            }
        }
        violations.sort_by_key(|violation| violation.position);
        self.report.violations.extend(violations);
        self.objects[objects_before..].sort_by_key(|(position, _)| *position);
        self.report.skipped[skipped_before..].sort_by_key(|skipped| skipped.line);
        self.report.notes[notes_before..].sort_by_key(|note| note.position);
    }

    /// Tells of a file that cannot be checked.
    pub(super) fn refuse(&mut self, file: &str, problem: String) {
        let (object, path) = (ObjectName::default(), FieldPath::root());
        let file = file.to_owned();
        let violation = Violation {
            file,
            position: None,
            object,
            path,
            found: None,
            problem,
        };
        self.report.violations.push(violation);
    }

    fn take(&mut self, file: &str, checked: Checked, violations: &mut Vec<Violation>) {
        let Checked {
            object,
            skipped,
            notes,
            violations: broken,
            identity,
        } = checked;
        violations.extend(broken);
        self.report.skipped.extend(skipped);
        self.report.notes.extend(notes);
        let repeats = identity.is_some_and(|(identity, position)| {
            let repeated = self.repeated(file, identity, position);
            let repeats = repeated.is_some();
            violations.extend(repeated);
            repeats
        });
        self.objects.extend(object.filter(|_| !repeats));
    }

    /// The violation of a resource that an earlier document is of already, which the second would overwrite.
    fn repeated(
        &mut self,
        file: &str,
        object: ObjectName,
        position: Position,
    ) -> Option<Violation> {
        let Some((first_file, first)) = self.first_places.get(&object) else {
            self.first_places
                .insert(object, (file.to_owned(), position));
            return None;
        };
        Some(Violation {
            file: file.to_owned(),
            position: Some(position),
            path: FieldPath::root().field("metadata").field("name"),
            found: None,
            problem: format!(
                "names the same resource as {first_file}:{}:{}",
                first.line, first.column
            ),
            object,
        })
    }

    pub(super) fn finish(self) -> Report {
        let objects = self
            .objects
            .into_iter()
            .map(|(_, manifest)| manifest)
            .collect();
        Report {
            objects,
            ..self.report
        }
    }
}
