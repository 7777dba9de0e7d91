//! A template's HTML with the styles of its `<style>` blocks in its elements already, so that [`super::css`] has nothing
//! left to do at each rendering. Read by [`super::cache`], once for each template.
//!
//! The template's text stays as its author wrote it; only `style` attributes and what is left in the blocks are written
//! anew. They are worked out on a copy in which each `{{ value }}` is a letter and nothing is conditional. That gives what
//! every rendering would give if no style can hang on data: each branch closes what it opens, no class, id or style comes
//! from data, no rule counts elements or asks for other attributes, no data is taken for HTML, and the HTML parser, which
//! mends what it reads, leaves every element inside the one that it was written in. Any other template is left to each
//! rendering.

use std::ops::Range;

use super::css;
use super::html_text::{Piece, Tag, VOID, next_piece};
use super::segments::{self, Segments};
use super::selectors;

/// Tells the elements of the copy apart.
const MARK: &str = "data-carillon-mark";

/// The template with its styles in its elements; none when they can be known only when it is rendered.
pub(crate) fn styled(template: &str) -> Option<String> {
    if !css::mentions_style(template) || template.contains(MARK) {
        return None;
    }
    let Segments { flat, segments } = segments::flattened(template)?;
    let written = read(&flat)?;
    let copy = edited(&flat, written.iter().map(|e| (e.at..e.at, format!(" {MARK}=\"{}\"", e.number))));
    let inlined = css::inlined(segments::stood_in(&copy)).ok()?;
    let styles = read_back(&inlined, &written)?;
    let edits = written.iter().zip(&styles).flat_map(|(element, style)| edits(&flat, element, style));
    segments::unflattened(&edited(&flat, edits), &segments)
}

/// An element of the flat text.
struct Element {
    number: usize,
    /// The element that it is in.
    parent: Option<usize>,
    /// Where attributes may be written.
    at: usize,
    /// Where its `style` attribute is.
    style: Option<Range<usize>>,
    /// Where the text of a `<style>` block is.
    css: Option<Range<usize>>,
}

/// What became of an element.
struct Styled {
    number: usize,
    parent: Option<usize>,
    style: Option<String>,
    css: Option<String>,
}

#[derive(Default)]
struct Reader {
    elements: Vec<Element>,
    open: Vec<(String, usize)>,
    /// How many elements were open where each branch began.
    branches: Vec<usize>,
    /// How many tags of branches were met.
    met: usize,
}

/// Every element, if no style can hang on data.
fn read(flat: &str) -> Option<Vec<Element>> {
    let mut reader = Reader::default();
    let mut rest = flat;
    while let Some(piece) = next_piece(&mut rest) {
        let end = flat.len() - rest.len();
        match piece {
            Piece::Text(text) => reader.text(text)?,
            Piece::Tag(tag) if tag.closes => reader.close(&tag)?,
            Piece::Tag(tag) => {
                let style = tag.name == "style";
                reader.open(flat, end, tag)?;
                if style {
                    let css = end..end + css::tags(rest, b"/style").next()?;
                    rest = &flat[css.end..];
                    reader.css(flat, css)?;
                }
            }
        }
    }
    // Inside a comment, say, a branch would not have been met.
    let all_met = reader.met == flat.chars().filter(|c| segments::is_branch(*c)).count();
    (all_met && reader.open.is_empty() && reader.branches.is_empty()).then_some(reader.elements)
}

impl Reader {
    /// A branch must end with the elements open with which it began.
    fn text(&mut self, text: &str) -> Option<()> {
        for c in text.chars().filter(|c| segments::is_branch(*c)) {
            self.met += 1;
            if c == segments::BEGIN {
                self.branches.push(self.open.len());
                continue;
            }
            let begun = if c == segments::END { self.branches.pop()? } else { *self.branches.last()? };
            if begun != self.open.len() {
                return None;
            }
        }
        Some(())
    }

    fn open(&mut self, flat: &str, end: usize, tag: Tag<'_>) -> Option<()> {
        let begin = end - 1 - tag.attributes.len();
        // A name that goes on, such as `o:p`, or a tag that the text ends in.
        let plain = tag.attributes.is_empty() || tag.attributes.starts_with([' ', '\t', '\n', '\r', '/']);
        if !plain || !flat[..end].ends_with('>') {
            return None;
        }
        let (mut at, mut style) = (begin, None);
        for attribute in tag.attributes() {
            let name = attribute.name.to_ascii_lowercase();
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || "/:_-".contains(c)) {
                return None;
            }
            let tag = |c| segments::is_any(c) && c != segments::VALUE;
            let fixed = !attribute.value.contains(segments::is_any);
            let chosen_by = ["class", "id", "style", "data-css-inline"].contains(&name.as_str());
            // Data between quotes stays between them, because it is escaped.
            let harmless = attribute.quoted && !chosen_by && !attribute.value.contains(tag);
            if !(fixed || harmless) {
                return None;
            }
            let place = begin + attribute.at.start..begin + attribute.at.end;
            // New attributes come behind the last one, and before the `/` of `<br/>`.
            at = if name == "/" { place.start } else { place.end };
            if name == "style" && style.replace(place).is_some() {
                return None;
            }
        }
        let (number, parent) = (self.elements.len(), self.open.last().map(|(_, number)| *number));
        self.elements.push(Element { number, parent, at, style, css: None });
        if !VOID.contains(&tag.name.as_str()) {
            self.open.push((tag.name, number));
        }
        Some(())
    }

    fn close(&mut self, tag: &Tag<'_>) -> Option<()> {
        let inside = self.open.len() > self.branches.last().copied().unwrap_or(0);
        let (name, _) = self.open.pop()?;
        (inside && name == tag.name && tag.attributes.trim().is_empty()).then_some(())
    }

    /// The text of a block, which must hold for every rendering.
    fn css(&mut self, flat: &str, at: Range<usize>) -> Option<()> {
        let css = &flat[at.clone()];
        if css.contains(segments::is_any) || !self.branches.is_empty() || !selectors::are_plain(css) {
            return None;
        }
        self.elements.last_mut()?.css = Some(at);
        Some(())
    }
}

/// The styles of the elements, if the HTML parser found the same elements in each other.
fn read_back(html: &str, written: &[Element]) -> Option<Vec<Styled>> {
    let mut found: Vec<Styled> = Vec::with_capacity(written.len());
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut rest = html;
    while let Some(piece) = next_piece(&mut rest) {
        let Piece::Tag(tag) = piece else { continue };
        if tag.closes {
            open.pop()?;
            continue;
        }
        let raw = |name: &str| tag.attributes().find(|a| a.name == name).map(|a| a.value.to_owned());
        let parent = open.last().copied().flatten();
        let mark = raw(MARK).and_then(|text| text.parse().ok());
        let css = if tag.name == "style" {
            let (css, after) = rest.split_at(css::tags(rest, b"/style").next()?);
            rest = after;
            Some(css.to_owned())
        } else {
            None
        };
        found.extend(mark.map(|number| Styled { number, parent, style: raw("style"), css }));
        if !VOID.contains(&tag.name.as_str()) {
            // What the parser added, such as `tbody`, is not marked.
            open.push(mark.or(parent));
        }
    }
    let same = |(a, b): (&Styled, &Element)| a.number == b.number && a.parent == b.parent;
    (found.len() == written.len() && found.iter().zip(written).all(same)).then_some(found)
}

/// What is written anew of an element, in the order of the text.
fn edits(flat: &str, element: &Element, styled: &Styled) -> Vec<(Range<usize>, String)> {
    let mut edits = Vec::new();
    if let Some(style) = &styled.style {
        edits.push(match &element.style {
            Some(at) => (at.clone(), format!("style=\"{style}\"")),
            None => (element.at..element.at, format!(" style=\"{style}\"")),
        });
    }
    if let (Some(at), Some(css)) = (&element.css, &styled.css) {
        // As many lines as before: a fault in the template is shown with its line.
        let lines = |text: &str| text.matches('\n').count();
        let padding = "\n".repeat(lines(&flat[at.clone()]).saturating_sub(lines(css)));
        edits.push((at.clone(), css.clone() + &padding));
    }
    edits
}

fn edited(text: &str, edits: impl Iterator<Item = (Range<usize>, String)>) -> String {
    let (mut out, mut done) = (String::with_capacity(text.len() * 2), 0);
    for (at, instead) in edits {
        out.push_str(&text[done..at.start]);
        out.push_str(&instead);
        done = at.end;
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests;
