//! Where log lines go.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tracing::Level;

/// One finished line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// Kind and name of the workload that it is about; none for the process itself.
    pub workload: Option<(Arc<str>, Arc<str>)>,
    /// The text, without a line end.
    pub text: String,
}

/// Takes finished lines. It is called on the thread that logs, so it must be quick, and must not log itself.
pub trait LogSink: Send + Sync + 'static {
    /// Takes one line.
    fn write(&self, line: LogLine);
}

/// Writes lines to standard output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl LogSink for Stdout {
    fn write(&self, mut line: LogLine) {
        line.text.push('\n');
        // A closed pipe leaves nobody to tell.
        _ = std::io::stdout().lock().write_all(line.text.as_bytes());
    }
}

/// Writes lines to standard error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stderr;

impl LogSink for Stderr {
    fn write(&self, mut line: LogLine) {
        line.text.push('\n');
        // A closed pipe leaves nobody to tell.
        _ = std::io::stderr().lock().write_all(line.text.as_bytes());
    }
}

/// Hands lines to a reader in the same process; where that falls behind, lines are lost and counted, never waited for.
#[derive(Debug, Clone)]
pub struct ChannelSink {
    lines: mpsc::Sender<LogLine>,
    lost: Arc<AtomicU64>,
}

impl ChannelSink {
    /// A sink that holds up to `capacity` lines, and its reading end.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<LogLine>) {
        let (lines, reader) = mpsc::channel(capacity);
        (
            Self {
                lines,
                lost: Arc::default(),
            },
            reader,
        )
    }

    /// Lines lost so far because the reader fell behind or is gone.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl LogSink for ChannelSink {
    fn write(&self, line: LogLine) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_costs_lines_and_no_time() {
        let (sink, mut reader) = ChannelSink::new(2);
        for number in 0..5 {
            sink.write(LogLine {
                level: Level::INFO,
                workload: None,
                text: number.to_string(),
            });
        }
        assert_eq!(sink.lost(), 3);
        assert_eq!(reader.try_recv().unwrap().text, "0");
        assert_eq!(reader.try_recv().unwrap().text, "1");
        drop(reader);
        sink.write(LogLine {
            level: Level::INFO,
            workload: None,
            text: String::new(),
        });
        assert_eq!(sink.lost(), 4);
    }
}
