//! How far something long is, on standard error.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use crossterm::cursor::MoveToColumn;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType};

/// What is over sooner tells nothing of its way.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two changes of a terminal's line.
const REDRAW: Duration = Duration::from_millis(200);
/// Time between two lines elsewhere.
const LINE: Duration = Duration::from_secs(5);

/// Tells now and then; its line on a terminal goes with it.
pub(super) struct Ticker {
    is_terminal: bool,
    is_shown: bool,
    next: Instant,
}

impl Ticker {
    pub(super) fn new() -> Self {
        let is_terminal = stderr().is_terminal();
        let patience = if is_terminal { PATIENCE } else { LINE };
        Self {
            is_terminal,
            is_shown: false,
            next: Instant::now() + patience,
        }
    }

    /// Tells how far it is, where it is time to.
    pub(super) fn tick(&mut self, words: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        // Nothing can be done about a standard error that is gone.
        if self.is_terminal {
            self.clear();
            _ = write!(stderr(), "{}", words());
            _ = stderr().flush();
            self.is_shown = true;
            self.next = now + REDRAW;
        } else {
            _ = writeln!(stderr(), "{}", words());
            self.next = now + LINE;
        }
    }

    fn clear(&mut self) {
        if self.is_shown {
            _ = queue!(stderr(), MoveToColumn(0), Clear(ClearType::CurrentLine));
            self.is_shown = false;
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clear();
    }
}
