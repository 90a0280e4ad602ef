//! The status as one JSON document, for programs: its fields are only ever added to.

use jiff::Timestamp;
use serde::Serialize;

use super::View;
use super::detail::Detail;
use super::view::{Overview, System};

/// Raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    /// When it was written.
    as_of: Timestamp,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    systems: Option<&'a [System]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a Detail>,
    notes: &'a [String],
}

/// The document of a view.
pub(crate) fn document(view: &View, now: Timestamp) -> serde_json::Result<serde_json::Value> {
    let empty = Document {
        version: VERSION,
        as_of: now,
        ready: view.is_ready(),
        systems: None,
        resource: None,
        notes: &[],
    };
    serde_json::to_value(match view {
        View::Overview(Overview { systems, notes, .. }) => Document {
            systems: Some(systems),
            notes,
            ..empty
        },
        View::Detail(detail) => Document {
            resource: Some(detail),
            notes: &detail.notes,
            ..empty
        },
    })
}
