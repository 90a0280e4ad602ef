//! Ending: the first signal drains, the second ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was told twice: 128 and the number of SIGTERM, as a shell shows it.
const SECOND_SIGNAL: i32 = 143;

/// Cancels the token at the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// When the system does not let signals be handled.
pub fn cancel_on_signal(token: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        token.cancel();
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(SECOND_SIGNAL);
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
