//! Columns as wide as what stands in them.

/// A cell: its text, and how it is painted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Heading,
    Good,
    Bad,
    Doubtful,
}

impl Paint {
    pub(crate) fn on(self, text: &str, color: bool) -> String {
        let code = match self {
            _ if !color => return text.to_owned(),
            Self::Plain => return text.to_owned(),
            Self::Heading => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Doubtful => "33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

impl Cell {
    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self {
            text: text.into(),
            paint,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::painted(text, Paint::Plain)
    }
}

/// The width of each column over all rows.
pub(crate) fn widths<'a>(rows: impl IntoIterator<Item = &'a Vec<Cell>>) -> Vec<usize> {
    let mut widths = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if widths.len() <= column {
                widths.push(0);
            }
            widths[column] = widths[column].max(cell.text.chars().count());
        }
    }
    widths
}

/// One row, two spaces between columns, none at its end.
pub(crate) fn line(row: &[Cell], widths: &[usize], color: bool) -> String {
    let mut line = String::new();
    let mut gap = 0;
    for (cell, width) in row.iter().zip(widths) {
        if !cell.text.is_empty() {
            line.push_str(&" ".repeat(gap));
            line.push_str(&cell.paint.on(&cell.text, color));
            gap = 0;
        }
        gap += width - cell.text.chars().count().min(*width) + 2;
    }
    line
}

/// A heading and rows, each on its line.
pub(crate) fn table(heading: &[&str], rows: Vec<Vec<Cell>>, color: bool) -> Vec<String> {
    let heading = heading
        .iter()
        .map(|text| Cell::painted(*text, Paint::Heading));
    let all: Vec<Vec<Cell>> = std::iter::once(heading.collect()).chain(rows).collect();
    let widths = widths(&all);
    all.iter().map(|row| line(row, &widths, color)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_end_without_spaces() {
        let rows = vec![
            vec!["näme".into(), "".into(), "c".into()],
            vec!["n".into(), Cell::painted("bb", Paint::Bad), "".into()],
        ];
        let plain = table(&["A", "B", "C"], rows.clone(), false);
        assert_eq!(plain, ["A     B   C", "näme      c", "n     bb"]);
        let painted = table(&["A", "B", "C"], rows, true);
        assert_eq!(painted[2], "n     \x1b[31mbb\x1b[0m");
    }
}
