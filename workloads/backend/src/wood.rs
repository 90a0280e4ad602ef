//! Kinds of wood in an OpenAPI document.

use ordermill_events::wood::WoodType;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// One of the kinds of wood.
pub(crate) fn wood_type_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("A kind of wood."))
        .enum_values(Some(WoodType::ALL.map(WoodType::as_str)))
        .build()
}
