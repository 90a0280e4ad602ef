//! Where a view goes: a terminal that is drawn anew, or a pipe.

use std::io::{self, IsTerminal as _, Stdout, Write as _, stdout};

use crossterm::cursor::MoveTo;
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue};
use jiff::Timestamp;

use super::{Format, View, detail, document, overview_lines};
use crate::cluster::Cluster;
use crate::command;

/// Shows views, one after the other.
pub(crate) struct Output {
    format: Format,
    watch: bool,
    color: bool,
    place: String,
    out: Stdout,
    /// Whether the terminal shows views in a screen of its own.
    is_screen: bool,
    shown: Option<View>,
}

impl Output {
    pub(crate) fn new(format: Format, watch: bool, cluster: &Cluster) -> Self {
        let terminal = stdout().is_terminal();
        Self {
            format,
            watch,
            color: command::is_painted(),
            place: cluster.scope.words(),
            out: stdout(),
            is_screen: terminal && watch && format == Format::Table,
            shown: None,
        }
    }

    /// Whether ages are to be drawn anew though nothing has changed.
    pub(crate) const fn is_screen(&self) -> bool {
        self.is_screen
    }

    /// Shows a view; one that was shown already only where it is drawn anew. Gives whether somebody still reads.
    pub(crate) fn show(&mut self, view: &View) -> io::Result<bool> {
        match self.write(view) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, view: &View) -> io::Result<()> {
        let is_new = self.shown.as_ref() != Some(view);
        if !is_new && !self.is_screen {
            return Ok(());
        }
        let is_first = self.shown.is_none();
        self.shown = Some(view.clone());
        let now = Timestamp::now();
        match self.format {
            Format::Json => {
                let document = document(view, now)?;
                let text = if self.watch {
                    document.to_string()
                } else {
                    serde_json::to_string_pretty(&document)?
                };
                writeln!(self.out, "{text}")?;
            }
            Format::Table if self.is_screen => {
                if is_first {
                    execute!(self.out, EnterAlternateScreen, DisableLineWrap)?;
                }
                self.draw(view, now)?;
            }
            Format::Table => {
                if !is_first {
                    writeln!(self.out)?;
                }
                if self.watch {
                    writeln!(self.out, "{}", now.round(jiff::Unit::Second).unwrap_or(now))?;
                }
                for line in self.lines(view, now) {
                    writeln!(self.out, "{line}")?;
                }
            }
        }
        self.out.flush()
    }

    fn lines(&self, view: &View, now: Timestamp) -> Vec<String> {
        match view {
            View::Overview(overview) => overview_lines(overview, &self.place, now, self.color),
            View::Detail(detail) => detail::screen(detail, now, self.color),
        }
    }

    fn draw(&mut self, view: &View, now: Timestamp) -> io::Result<()> {
        let (_, height) = crossterm::terminal::size()?;
        let mut lines = self.lines(view, now);
        let room = usize::from(height).saturating_sub(2);
        if lines.len() > room {
            let more = lines.len() - room;
            lines.truncate(room);
            lines.push(format!("… and {more} lines more"));
        }
        for (row, line) in (0..height).zip(&lines) {
            queue!(self.out, MoveTo(0, row))?;
            write!(self.out, "{line}")?;
            queue!(self.out, Clear(ClearType::UntilNewLine))?;
        }
        let row = u16::try_from(lines.len()).unwrap_or(height).min(height);
        queue!(self.out, MoveTo(0, row), Clear(ClearType::FromCursorDown))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_screen || self.shown.is_none() {
            return;
        }
        // Nothing can be done about a terminal that is gone.
        _ = execute!(self.out, EnableLineWrap, LeaveAlternateScreen);
        if let Some(view) = self.shown.take() {
            for line in self.lines(&view, Timestamp::now()) {
                _ = writeln!(self.out, "{line}");
            }
        }
    }
}
