//! What is prepared once per process.

use tokio::sync::OnceCell;
use tokio::task::{JoinError, spawn_blocking};

/// What `prepare` gives, kept in `cell`. It may block for minutes, so it runs beside the caller's runtime; a failed attempt
/// is not kept.
pub(crate) async fn once<T, E>(
    cell: &'static OnceCell<T>,
    prepare: fn() -> Result<T, E>,
    cancelled: fn(JoinError) -> E,
) -> Result<&'static T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let attempt = async || spawn_blocking(prepare).await.map_err(cancelled)?;
    cell.get_or_try_init(attempt).await
}
