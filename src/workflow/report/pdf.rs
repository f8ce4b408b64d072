//! The report as a PDF: the same facts and tables as the page, on A4, in Helvetica.
//!
//! The fonts are those that every reader of PDF has (ISO 32000-1, 9.6.2.2), so none is shipped; they know the letters of
//! Western Europe (WinAnsi), and what is outside of them is written as `?`. Who needs other letters prints the page.

use super::Report;
use super::page::facts;
use super::table::{Section, sections, time};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 42.0;
const PLAIN: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
/// Widths of Helvetica's letters from space to tilde, in thousandths of the size.
const LETTERS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// A text in WinAnsi.
fn bytes(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        '→' => b">".to_vec(),
        '×' => vec![0xd7],
        '–' | '—' => b"-".to_vec(),
        '’' | '‘' => b"'".to_vec(),
        '…' => b"...".to_vec(),
        c if c.is_control() => b" ".to_vec(),
        c => vec![u8::try_from(u32::from(c)).ok().filter(|b| *b < 0x7f || *b >= 0xa0).unwrap_or(b'?')],
    };
    text.chars().flat_map(byte).collect()
}

/// How wide a text is; bold is a little wider.
fn width(text: &[u8], size: f32, is_bold: bool) -> f32 {
    let of = |b: &u8| usize::from(*b).checked_sub(32).and_then(|n| LETTERS.get(n)).copied().unwrap_or(556);
    let sum: f32 = text.iter().map(|b| f32::from(of(b))).sum();
    sum / 1000.0 * size * if is_bold { 1.07 } else { 1.0 }
}

/// Lines that are no wider than asked; a word that is wider than a line is cut.
fn wrapped(text: &str, size: f32, is_bold: bool, wide: f32) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    for word in text.split_whitespace() {
        let mut word = bytes(word);
        loop {
            let mut longer = line.clone();
            if !longer.is_empty() {
                longer.push(b' ');
            }
            longer.extend(&word);
            if width(&longer, size, is_bold) <= wide {
                line = longer;
                break;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                continue;
            }
            let fits =
                (1..=word.len()).rev().find(|n| width(word.get(..*n).unwrap_or_default(), size, is_bold) <= wide);
            let rest = word.split_off(fits.unwrap_or(1).min(word.len()));
            lines.push(std::mem::replace(&mut word, rest));
            if word.is_empty() {
                break;
            }
        }
    }
    lines.push(line);
    lines
}

/// Pages under the pen.
struct Pen {
    pages: Vec<Content>,
    y: f32,
}

impl Pen {
    fn new_page(&mut self) {
        self.pages.push(Content::new());
        self.y = HEIGHT - MARGIN;
    }

    /// Makes sure that so much fits.
    fn room(&mut self, high: f32) {
        if self.pages.is_empty() || self.y - high < MARGIN {
            self.new_page();
        }
    }

    fn text(&mut self, x: f32, below: f32, text: &[u8], size: f32, is_bold: bool) {
        let y = self.y - below;
        let Some(page) = self.pages.last_mut() else { return };
        page.begin_text().set_font(if is_bold { BOLD } else { PLAIN }, size).next_line(x, y).show(Str(text)).end_text();
    }

    fn rule(&mut self, below: f32, thick: f32) {
        let y = self.y - below;
        let Some(page) = self.pages.last_mut() else { return };
        page.set_line_width(thick).move_to(MARGIN, y).line_to(WIDTH - MARGIN, y).stroke();
    }

    /// A row of cells, kept together where a page can hold it.
    fn row(&mut self, cells: &[(&str, bool)], widths: &[f32], size: f32) {
        let leading = size * 1.25;
        let of = |((text, bold), wide): (&(&str, bool), &f32)| wrapped(text, size, *bold, wide - 6.0);
        let lines: Vec<Vec<Vec<u8>>> = cells.iter().zip(widths).map(of).collect();
        let most = lines.iter().map(Vec::len).max().unwrap_or(1);
        let most_of_page = 50;
        let mut from = 0;
        while from < most {
            let to = (from + most_of_page).min(most);
            #[allow(clippy::cast_precision_loss)] // at most fifty lines
            let high = (to - from) as f32 * leading + 4.0;
            self.room(high);
            let mut x = MARGIN;
            for ((cell, (_, bold)), wide) in lines.iter().zip(cells).zip(widths) {
                let mut below = leading;
                for line in cell.iter().skip(from).take(to - from) {
                    self.text(x, below - 2.0, line, size, *bold);
                    below += leading;
                }
                x += wide;
            }
            self.rule(high - 1.0, 0.3);
            self.y -= high;
            from = to;
        }
    }

    fn section(&mut self, section: &Section) {
        self.room(60.0);
        self.y -= 14.0;
        self.text(MARGIN, 10.0, &bytes(section.title), 12.0, true);
        self.rule(15.0, 1.2);
        self.y -= 18.0;
        let whole = WIDTH - 2.0 * MARGIN;
        if section.rows.is_empty() {
            self.row(&[(section.empty, false)], &[whole], 9.5);
            return;
        }
        let shares: &[f32] = match section.heads.len() {
            2 => &[0.4, 0.6],
            3 => &[0.4, 0.35, 0.25],
            _ => &[0.3, 0.22, 0.28, 0.2],
        };
        let widths: Vec<f32> = shares.iter().map(|s| s * whole).collect();
        let heads: Vec<(&str, bool)> = section.heads.iter().map(|h| (*h, true)).collect();
        self.row(&heads, &widths, 8.5);
        for row in &section.rows {
            let cells: Vec<(&str, bool)> = row.iter().enumerate().map(|(n, c)| (c.as_str(), n == 0)).collect();
            self.row(&cells, &widths, 9.5);
        }
    }
}

/// The report as a PDF.
#[must_use]
pub fn pdf(report: &Report) -> Vec<u8> {
    let mut pen = Pen { pages: Vec::new(), y: 0.0 };
    pen.new_page();
    pen.text(MARGIN, 14.0, &bytes("Medicines after a hospital stay"), 17.0, true);
    pen.y -= 24.0;
    for (name, value) in facts(report) {
        pen.row(&[(name, false), (&value, true)], &[90.0, WIDTH - 2.0 * MARGIN - 90.0], 10.0);
    }
    for section in sections(report) {
        pen.section(&section);
    }
    pen.row(&[(&report.foot(&time(report.list["meta"]["lastUpdated"].text())), false)], &[WIDTH - 2.0 * MARGIN], 8.0);
    let mut pdf = Pdf::new();
    let mut next = 0;
    let mut id = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, plain, bold, info) = (id(), id(), id(), id(), id());
    let pages: Vec<(Ref, Ref)> = pen.pages.iter().map(|_| (id(), id())).collect();
    pdf.catalog(catalog).pages(tree).lang(TextStr("en"));
    pdf.pages(tree).kids(pages.iter().map(|(p, _)| *p)).count(i32::try_from(pages.len()).unwrap_or(i32::MAX));
    pdf.document_info(info).title(TextStr("Medicines after a hospital stay"));
    for ((page_id, content_id), content) in pages.iter().zip(pen.pages) {
        let mut page = pdf.page(*page_id);
        page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(*content_id);
        page.resources().fonts().pair(PLAIN, plain).pair(BOLD, bold);
        page.finish();
        pdf.stream(*content_id, &content.finish());
    }
    for (at, name) in [(plain, Name(b"Helvetica")), (bold, Name(b"Helvetica-Bold"))] {
        pdf.type1_font(at).base_font(name).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.finish()
}
