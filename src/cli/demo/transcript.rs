//! What the person at the terminal sees: who asks what, what comes back, what it means. Colours only on a terminal, and
//! not where `NO_COLOR` is set.

use std::io::{IsTerminal, Write};

/// Writes the story to standard output.
#[derive(Debug, Clone, Copy)]
pub struct Transcript {
    is_coloured: bool,
}

const WHO_WIDTH: usize = 15;

impl Transcript {
    /// Looks once whether colours are wanted.
    pub fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self { is_coloured: !refused && std::io::stdout().is_terminal() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn line(self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A closed terminal is no reason to stop the server that the demo leaves running.
        drop(writeln!(out, "{text}").and_then(|()| out.flush()));
    }

    /// The heading of a chapter.
    pub fn chapter(self, title: &str) {
        self.line(&format!("\n{}", self.paint("1", title)));
    }

    /// A sentence between requests.
    pub fn says(self, text: &str) {
        self.line(text);
    }

    /// One request and its answer.
    pub fn exchange(self, who: &str, request: &str, status: u16, meaning: &str) {
        let colour = match status {
            200..=299 => "32",
            400..=499 => "33",
            _ => "31",
        };
        let who = self.paint("36", &format!("{who:<WHO_WIDTH$}"));
        let status = self.paint(colour, &status.to_string());
        self.line(&format!("  {who} {status}  {request}"));
        self.line(&format!("  {:WHO_WIDTH$}      {}", "", self.paint("2", meaning)));
    }

    /// A command to try, as it can be pasted.
    pub fn command(self, text: &str) {
        self.line(&format!("  {}", self.paint("1", text)));
    }
}
