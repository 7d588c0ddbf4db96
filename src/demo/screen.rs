//! Where the story is told: a terminal, a pipe, or nowhere.

use std::env::var_os;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::report::{Charset, Ink, plain};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::options::Options;

/// What pipes are taken to be wide.
const COLUMNS: usize = 80;

pub(crate) struct Screen {
    out: Box<dyn Write>,
    /// The terminal behind it, if lines can be drawn again there.
    terminal: Option<Term>,
    pub(crate) charset: Charset,
    pub(crate) ink: Ink,
    pub(crate) columns: usize,
}

impl Screen {
    /// Standard output; standard error where that is kept for JSON; nothing if quiet.
    pub(crate) fn new(options: &Options) -> Self {
        let (out, term, is_terminal): (Box<dyn Write>, _, _) = if options.quiet {
            (Box::new(io::sink()), Term::stdout(), false)
        } else if options.json {
            (Box::new(io::stderr()), Term::stderr(), io::stderr().is_terminal())
        } else {
            (Box::new(io::stdout()), Term::stdout(), io::stdout().is_terminal())
        };
        let columns = term.size_checked().filter(|_| is_terminal).map(|(_, columns)| columns);
        let dumb = var_os("TERM").is_some_and(|term| term == "dumb");
        let charset = if options.ascii { Charset::Ascii } else { Charset::of_environment() };
        let ink = match charset {
            Charset::Unicode => Ink::of_stdout(is_terminal),
            Charset::Ascii => Ink::Ascii,
        };
        Self {
            out,
            terminal: (is_terminal && !dumb).then_some(term),
            charset,
            ink,
            columns: columns.map_or(COLUMNS, usize::from),
        }
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{}", plain(&text.to_string(), self.charset))
    }

    /// Text on as many lines as it takes, a little to the right.
    pub(crate) fn paragraph(&mut self, text: &str) -> io::Result<()> {
        let mut line = " ".to_owned();
        for word in text.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > self.columns {
                self.line(&line)?;
                line = " ".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(line)
    }

    /// Begins a part of the story.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        let (bold, end) = if self.ink == Ink::Ascii { ("", "") } else { ("\x1b[1m", "\x1b[0m") };
        writeln!(self.out, "\n{bold}{}{end}", plain(text, self.charset))
    }

    /// A line about something that is as it should be, or is not.
    pub(crate) fn verdict(&mut self, good: bool, text: &str) -> io::Result<()> {
        let color = if good { "\x1b[32m" } else { "\x1b[1;31m" };
        let (color, end) = if self.ink == Ink::Ascii { ("", "") } else { (color, "\x1b[0m") };
        writeln!(self.out, "{color}{}{end}", plain(text, self.charset))
    }

    /// Lines that are made for this screen already.
    pub(crate) fn block(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// A bar that is drawn again and again, if this is a terminal. `template` is indicatif's, its
    /// bar in colour where there is colour.
    pub(crate) fn bar(&self, length: u64, template: &str) -> Option<ProgressBar> {
        let target = ProgressDrawTarget::term(self.terminal.clone()?, 15);
        let template = match self.ink {
            Ink::Ascii => template.to_owned(),
            _ => template.replace("{wide_bar}", "{wide_bar:.cyan/238}"),
        };
        let characters = match self.charset {
            Charset::Unicode => "━╸─",
            Charset::Ascii => "=>-",
        };
        let style = ProgressStyle::with_template(&template).expect("a template of this program");
        let bar = ProgressBar::with_draw_target(Some(length), target);
        bar.set_style(style.progress_chars(characters));
        Some(bar)
    }
}
