//! Ending: the first signal drains, the second ends at once.

use std::io::Write as _;

use ordermill_config::full_error;
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
        end(SECOND_SIGNAL);
    });
    Ok(())
}

/// Ends the process with code 0, or 1 and the error with its causes on standard error. What must be written or sent is to
/// be dropped or flushed before.
pub fn end_with<E: std::error::Error>(result: Result<(), E>) -> ! {
    match result {
        Ok(()) => end(0),
        Err(error) => {
            eprintln!("error: {}", full_error(&error));
            end(1)
        }
    }
}

/// Ends without exit handlers: OpenSSL's would free what threads that still run use and free too, and a call to Kafka that
/// does not come back must not hold up the end.
fn end(code: i32) -> ! {
    _ = std::io::stdout().flush();
    signal_hook::low_level::exit(code)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
