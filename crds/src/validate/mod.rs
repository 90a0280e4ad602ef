//! The rules of the custom resources without a cluster.
//!
//! [`validate_files`] applies to manifests what an API server with the generated definitions would apply: the types, bounds
//! and CEL rules of the schemas, and the API server's own rules on names, labels and annotations. The schemas are the one
//! source: no rule stands here a second time. Every violation of every document is told at once, with file, line, field,
//! what it holds and what is allowed.
//!
//! ```
//! use ordermill_crds::validate::{Schemas, validate_text};
//!
//! let schemas = Schemas::of_this_build()?;
//! let report = validate_text("orders.yaml", "apiVersion: ordermill.dev/v1alpha1\nkind: OrderProduce\n", &schemas);
//! assert!(report.violations[0].to_string().contains("did you mean OrderProducer?"));
//! # Ok::<(), ordermill_crds::validate::SchemasError>(())
//! ```

mod collect;
mod document;
mod files;
mod kinds;
mod metadata;
mod object;
mod path;
mod report;
mod schema;

pub use document::Position;
pub use files::{Folders, manifest_files, validate_files, validate_text};
pub use kinds::{Schemas, SchemasError};
pub use path::{FieldPath, Segment};
pub use report::{Manifest, Note, ObjectName, Report, Skipped, Violation};
pub use schema::SchemaError;
