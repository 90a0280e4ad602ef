//! A table that refreshes at the foot of the terminal, with the log scrolling above it.

use std::io::{Stdout, stdout};

use ordermill_runtime::telemetry::log::LogLine;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, Widget, Wrap};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::report::{ResourceReport, duration, planned};
use super::supervisor::Supervisor;
use super::tail::Tail;

/// Lines of the log that are shown at one refresh at most; a flood of them would hide the table.
const LOG_LINES: usize = 40;
/// What the columns are.
const HEADING: [&str; COLUMNS] = [
    "KIND", "NAME", "STATE", "GEN", "PLANNED", "OBSERVED", "EVENTS", "INJECTED", "FAILED",
    "RETRIED", "LAG", "DEAD", "LATENESS",
];
const COLUMNS: usize = 13;
/// Blanks between two columns.
const SPACING: u16 = 1;
/// Lines besides the resources and topics: title, blank line, heading, blank line.
const FRAME_LINES: usize = 4;

type Screen = Terminal<CrosstermBackend<Stdout>>;

/// Asks the terminal where its cursor is, which the table stands on; not every one answers.
pub(super) fn probe() -> std::io::Result<()> {
    crossterm::cursor::position().map(|_| ())
}

/// Shows the table until it is time to end.
pub(super) async fn show(
    supervisor: &mut Supervisor,
    mut log: Option<Receiver<LogLine>>,
    kafka: &str,
    cancelled: &CancellationToken,
    end: Option<Instant>,
) -> Result<(), Failure> {
    let tailing = CancellationToken::new();
    let _stop_tail = tailing.clone().drop_guard();
    let tail = Tail::start(supervisor.connection(), tailing);
    let mut view = View {
        kafka: kafka.to_owned(),
        resources: supervisor.reports(),
        tail,
    };
    let mut height = view.height();
    let mut screen = screen(height).map_err(Failure::Terminal)?;
    loop {
        print_log(&mut screen, log.as_mut()).map_err(Failure::Terminal)?;
        if view.height() > height {
            screen.clear().map_err(Failure::Terminal)?;
            height = view.height();
            screen = self::screen(height).map_err(Failure::Terminal)?;
        }
        let mut top = 0;
        let draw = |frame: &mut Frame<'_>| {
            top = frame.area().y;
            view.draw(frame);
        };
        screen.draw(draw).map_err(Failure::Terminal)?;
        if !supervisor.step(cancelled, end).await {
            return leave(&mut screen, top).map_err(Failure::Terminal);
        }
        view.resources = supervisor.reports();
    }
}

/// Takes the table away, so that what is printed next stands in its place.
fn leave(screen: &mut Screen, top: u16) -> std::io::Result<()> {
    screen.clear()?;
    screen.set_cursor_position((0, top))?;
    screen.show_cursor()
}

fn screen(height: u16) -> std::io::Result<Screen> {
    let options = TerminalOptions {
        viewport: Viewport::Inline(height),
    };
    Terminal::with_options(CrosstermBackend::new(stdout()), options)
}

/// Moves log lines that have come in above the table.
fn print_log(screen: &mut Screen, log: Option<&mut Receiver<LogLine>>) -> std::io::Result<()> {
    let Some(log) = log else {
        return Ok(());
    };
    let width = usize::from(screen.size()?.width.max(1));
    let mut left_out = 0_usize;
    let mut shown = 0;
    while let Ok(LogLine { text, .. }) = log.try_recv() {
        if shown == LOG_LINES {
            left_out += 1;
            continue;
        }
        shown += 1;
        insert(screen, text, width)?;
    }
    if left_out > 0 {
        insert(screen, format!("… and {left_out} lines more"), width)?;
    }
    Ok(())
}

fn insert(screen: &mut Screen, text: String, width: usize) -> std::io::Result<()> {
    let lines = u16::try_from(text.chars().count().div_ceil(width).max(1)).unwrap_or(1);
    screen.insert_before(lines, |buffer| {
        Paragraph::new(text)
            .wrap(Wrap { trim: false })
            .render(buffer.area, buffer);
    })
}

/// What the table shows.
struct View {
    kafka: String,
    resources: Vec<ResourceReport>,
    tail: Tail,
}

impl View {
    fn height(&self) -> u16 {
        let troubles = self
            .resources
            .iter()
            .filter(|it| it.message.is_some())
            .count();
        let topics = self.tail.newest().len();
        let lines = FRAME_LINES + self.resources.len() + troubles + topics;
        u16::try_from(lines.min(60)).unwrap_or(60)
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let troubles: Vec<_> = self.resources.iter().filter_map(trouble).collect();
        let newest = self.tail.newest();
        let length = |count: usize| Constraint::Length(u16::try_from(count).unwrap_or(u16::MAX));
        let areas: [Rect; 4] = Layout::vertical([
            Constraint::Length(2),
            length(self.resources.len() + 1),
            length(troubles.len()),
            length(newest.len()),
        ])
        .areas(frame.area());
        let title = Line::from(vec![
            "Kafka at ".into(),
            self.kafka.clone().bold(),
            "   edit the manifests to tune, Ctrl-C ends".dim(),
        ]);
        frame.render_widget(title, areas[0]);
        frame.render_widget(self.table(), areas[1]);
        frame.render_widget(Paragraph::new(troubles), areas[2]);
        let flowing = newest.into_iter().map(|(topic, record)| {
            Line::from(vec![
                Span::from(format!("{topic}  ")).cyan(),
                Span::from(format!("{}  ", record.key)).dim(),
                Span::from(record.value),
            ])
        });
        frame.render_widget(Paragraph::new(flowing.collect::<Vec<_>>()), areas[3]);
    }

    fn table(&self) -> Table<'static> {
        let cells: Vec<_> = self.resources.iter().map(row).collect();
        let widths = widths(&cells).map(Constraint::Length);
        Table::new(cells.into_iter().map(Row::new), widths)
            .header(Row::new(HEADING).style(Style::new().bold()))
            .column_spacing(SPACING)
    }
}

/// Each column as wide as what is in it, so that all of them are seen on a terminal of 120 columns.
fn widths(rows: &[[Span<'static>; COLUMNS]]) -> [u16; COLUMNS] {
    let mut widths = HEADING.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    widths.map(|width| u16::try_from(width).unwrap_or(u16::MAX))
}

fn row(report: &ResourceReport) -> [Span<'static>; COLUMNS] {
    let count = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
    let observed = &report.observed;
    let color = match report.state.as_str() {
        "Running" | "Completed" => Color::Green,
        "Waiting" => Color::Red,
        _ => Color::Yellow,
    };
    let state = report
        .reason
        .clone()
        .unwrap_or_else(|| report.state.clone());
    [
        Span::from(report.kind.clone()),
        Span::from(report.name.clone()),
        Span::from(state).fg(color),
        Span::from(report.generation.to_string()),
        Span::from(planned(report)),
        Span::from(
            observed
                .rate_per_second
                .clone()
                .map_or("-".to_owned(), |rate| rate + "/s"),
        ),
        Span::from(count(observed.events)),
        Span::from(count(observed.injected)),
        Span::from(count(observed.failed)),
        Span::from(count(observed.retried)),
        Span::from(count(observed.lag)),
        Span::from(count(observed.dead_lettered)),
        Span::from(report.lateness_seconds.map_or("-".to_owned(), duration)),
    ]
}

/// What keeps a resource from its work, in words.
fn trouble(report: &ResourceReport) -> Option<Line<'static>> {
    let message = report.message.clone()?;
    Some(Line::from(vec![
        Span::from(format!("{}: ", report.name)).bold(),
        message.red(),
    ]))
}
