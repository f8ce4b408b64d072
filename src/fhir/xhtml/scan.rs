//! A small XML scanner for narratives: tags, attributes, text, comments, by their place in the text.
//!
//! It knows no DTD, no processing instruction and no CDATA: a narrative has none, and to a browser they mean something
//! else than to an XML reader.

use std::ops::Range;

/// One thing found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// `<p class="x">`; attributes are in [`Scan::attributes`]. `empty`: `<br/>`.
    Open { name: Range<usize>, empty: bool },
    /// `</p>`
    Close { name: Range<usize> },
    /// Between tags.
    Text { span: Range<usize> },
    /// `<!-- -->`, without the marks.
    Comment { span: Range<usize> },
}

/// The state of a scan.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// Name and value (without quotes) of the last opened tag.
    pub(super) attributes: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, attributes: Vec::new() }
    }

    /// The text of a place.
    pub(super) fn get(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next event; `None` at the end; `Err` with a phrase about what is wrong.
    pub(super) fn next(&mut self) -> Result<Option<Event>, &'static str> {
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let start = self.at;
        if !rest.starts_with('<') {
            self.at += rest.find('<').unwrap_or(rest.len());
            return Ok(Some(Event::Text { span: start..self.at }));
        }
        if let Some(body) = rest.strip_prefix("<!--") {
            let end = body.find("-->").ok_or("a comment does not end")?;
            self.at += 4 + end + 3;
            return Ok(Some(Event::Comment { span: start + 4..start + 4 + end }));
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return Err("it has a declaration, CDATA or processing instruction");
        }
        if rest.starts_with("</") {
            self.at += 2;
            let name = self.name()?;
            self.space();
            self.expect('>')?;
            return Ok(Some(Event::Close { name }));
        }
        self.at += 1;
        self.open().map(Some)
    }

    fn open(&mut self) -> Result<Event, &'static str> {
        self.attributes.clear();
        let name = self.name()?;
        loop {
            let spaced = self.space();
            if self.rest().starts_with("/>") {
                self.at += 2;
                return Ok(Event::Open { name, empty: true });
            }
            if self.rest().starts_with('>') {
                self.at += 1;
                return Ok(Event::Open { name, empty: false });
            }
            if !spaced {
                return Err("a tag is not well-formed");
            }
            let attribute = self.name()?;
            self.space();
            self.expect('=')?;
            self.space();
            let quote =
                self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or("an attribute has no quotes")?;
            let from = self.at + 1;
            let length = self.text.get(from..).and_then(|t| t.find(quote)).ok_or("an attribute does not end")?;
            let value = from..from + length;
            if self.get(&value).contains('<') {
                return Err("an attribute holds '<'");
            }
            if self.attributes.iter().any(|(other, _)| self.get(other) == self.get(&attribute)) {
                return Err("an attribute stands twice in a tag");
            }
            self.at = value.end + 1;
            self.attributes.push((attribute, value));
        }
    }

    fn name(&mut self) -> Result<Range<usize>, &'static str> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')))
            .unwrap_or(rest.len());
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err("a '<' starts no tag (write it as &lt;), or a tag is not well-formed");
        }
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }

    fn space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += length;
        length > 0
    }

    fn expect(&mut self, c: char) -> Result<(), &'static str> {
        if !self.rest().starts_with(c) {
            return Err("a tag is not well-formed");
        }
        self.at += c.len_utf8();
        Ok(())
    }
}
