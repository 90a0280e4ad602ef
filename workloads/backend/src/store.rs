//! What both stores read and write alike.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{ColumnIndex, Row as _};

/// Why the database cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A row holds what this program does not write.
    #[error("the database holds {value:?} as {column}")]
    Foreign {
        /// Which column.
        column: &'static str,
        /// What is in it.
        value: String,
    },
}

/// A column of text that a type is read from.
pub(crate) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, StoreError>
where
    &'static str: ColumnIndex<AnyRow>,
{
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StoreError::Foreign {
        column,
        value: text,
    })
}

/// A column with a time, in milliseconds since 1970.
pub(crate) fn time(row: &AnyRow, column: &'static str) -> Result<Timestamp, StoreError> {
    at(column, row.try_get(column)?)
}

/// A column with a time that may not be there.
pub(crate) fn optional_time(
    row: &AnyRow,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    let milliseconds: Option<i64> = row.try_get(column)?;
    milliseconds.map(|it| at(column, it)).transpose()
}

fn at(column: &'static str, milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| StoreError::Foreign {
        column,
        value: milliseconds.to_string(),
    })
}

/// A moment so long after another, in milliseconds since 1970; the last that there is where that is too far.
pub(crate) fn later(now: Timestamp, by: Duration) -> i64 {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    now.as_millisecond()
        .saturating_add(by)
        .min(Timestamp::MAX.as_millisecond())
}
