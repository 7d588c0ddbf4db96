//! Tables of text.

use std::borrow::Cow;
use std::ffi::OsString;

/// The characters a text is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// Box drawing and typographic signs.
    #[default]
    Unicode,
    /// Nothing beyond ASCII, for logs and old consoles.
    Ascii,
}

impl Charset {
    /// What the environment promises: ASCII where the locale names another encoding than UTF-8 or
    /// `TERM` is `dumb`. An environment without a locale, as in many containers, says nothing about
    /// the terminal in front of it and counts as Unicode.
    pub fn of_environment() -> Self {
        Self::choose(|name| std::env::var_os(name))
    }

    fn choose(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        // The first that is set counts (POSIX.1-2024, Base Definitions, 8.2).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let other = locale.is_some_and(|locale| {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        if other || set("TERM").is_some_and(|term| term == "dumb") {
            return Self::Ascii;
        }
        Self::Unicode
    }
}

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows of cells under a heading. Every cell is one line.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// Left end, joint, right end.
type Rule = [char; 3];

impl Table {
    /// No rows yet, under these headings.
    pub fn new(columns: Vec<(String, Align)>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If there are not as many cells as columns.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "one cell per column");
        self.rows.push(cells);
    }

    /// The table, each line ended by a line feed.
    pub fn render(&self, charset: Charset) -> String {
        let cells = |texts: Vec<&String>| -> Vec<String> {
            texts.into_iter().map(|text| plain(text, charset).into_owned()).collect()
        };
        let heading = cells(self.columns.iter().map(|(title, _)| title).collect());
        let rows: Vec<_> = self.rows.iter().map(|row| cells(row.iter().collect())).collect();
        let widths: Vec<usize> = (0..heading.len())
            .map(|column| {
                let cells = rows.iter().map(|row| &row[column]);
                cells.chain([&heading[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();

        let (bar, dash, [top, middle, bottom]) = match charset {
            Charset::Unicode => ('│', '─', [['┌', '┬', '┐'], ['├', '┼', '┤'], ['└', '┴', '┘']]),
            Charset::Ascii => ('|', '-', [['+'; 3]; 3]),
        };
        let rule = |[left, joint, right]: Rule| {
            let dashes: Vec<String> =
                widths.iter().map(|&width| dash.to_string().repeat(width + 2)).collect();
            format!("{left}{}{right}\n", dashes.join(&joint.to_string()))
        };
        let line = |cells: &[String]| {
            let padded: Vec<String> = (cells.iter().zip(&widths).zip(&self.columns))
                .map(|((cell, &width), (_, align))| match align {
                    Align::Left => format!(" {cell:<width$} "),
                    Align::Right => format!(" {cell:>width$} "),
                })
                .collect();
            format!("{bar}{}{bar}\n", padded.join(&bar.to_string()))
        };

        let mut text = rule(top) + &line(&heading) + &rule(middle);
        rows.iter().for_each(|row| text.push_str(&line(row)));
        text + &rule(bottom)
    }
}

/// Whether a terminal obeys `char` instead of showing it: control characters, and those of Unicode
/// that reorder, join or hide what stands around them (UAX 9 and the zero-width ones).
pub fn steers(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        )
}

/// `text` within `charset` and on one line. Names come out of files, and what [`steers`] the
/// terminal in one must not reach it.
pub fn plain(text: &str, charset: Charset) -> Cow<'_, str> {
    let printable = |char: char| match charset {
        Charset::Unicode => !steers(char),
        Charset::Ascii => char.is_ascii() && !char.is_ascii_control(),
    };
    if text.chars().all(printable) {
        return Cow::Borrowed(text);
    }
    let replace = |char: char| match char {
        char if printable(char) => char.to_string(),
        '×' => "x".to_owned(),
        '·' => ".".to_owned(),
        '–' => "-".to_owned(),
        '≠' => "!=".to_owned(),
        'µ' => "u".to_owned(),
        _ => "?".to_owned(),
    };
    Cow::Owned(text.chars().map(replace).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(vec![("Name".to_owned(), Align::Left), ("Größe".to_owned(), Align::Right)]);
        table.row(vec!["a\x1b[2J".to_owned(), "28×28".to_owned()]);
        table.row(vec!["longer name".to_owned(), "7".to_owned()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let expected = "\
┌─────────────┬───────┐
│ Name        │ Größe │
├─────────────┼───────┤
│ a?[2J       │ 28×28 │
│ longer name │     7 │
└─────────────┴───────┘
";
        assert_eq!(table().render(Charset::Unicode), expected);
    }

    #[test]
    fn what_steers_a_terminal_is_not_shown() {
        // CSI of ECMA-48 in its one-character form; text laid right to left; nothing wide.
        let text = plain("a\u{9B}31mb\u{202E}gpj.exe\u{200B}\r\n", Charset::Unicode);
        assert_eq!(text, "a?31mb?gpj.exe???");
        assert_eq!(plain("größer × 日本", Charset::Unicode), "größer × 日本");
    }

    #[test]
    fn the_locale_chooses_the_charset() {
        let choose = |set: &[(&str, &str)]| {
            Charset::choose(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            })
        };
        assert_eq!(choose(&[]), Charset::Unicode);
        assert_eq!(choose(&[("LANG", "de_AT.UTF-8")]), Charset::Unicode);
        assert_eq!(choose(&[("LANG", "C")]), Charset::Ascii);
        assert_eq!(choose(&[("LANG", "C"), ("LC_ALL", "C.utf8")]), Charset::Unicode);
        assert_eq!(choose(&[("LANG", "C.utf8"), ("LC_CTYPE", "ISO-8859-1")]), Charset::Ascii);
        assert_eq!(choose(&[("LC_ALL", ""), ("TERM", "dumb")]), Charset::Ascii);
    }

    #[test]
    fn ascii_tables_hold_nothing_else() {
        let text = table().render(Charset::Ascii);
        assert!(text.is_ascii());
        assert!(text.contains("| a?[2J       | 28x28 |\n| longer name |     7 |\n"), "{text}");
    }
}
