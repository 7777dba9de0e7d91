//! A text part from HTML, for emails whose template gives none: tags go, blocks become lines, a link becomes
//! `text (address)`. A compact reader for the HTML of emails in one pass, not a browser: broken HTML gives odd text,
//! never an error. Read by `email/render.rs`.

use super::entities::decoded;

/// Elements whose content nobody reads.
const HIDDEN: [&str; 6] = ["head", "script", "style", "template", "title", "svg"];
/// Elements that stand on lines of their own.
const BLOCKS: [&str; 22] = [
    "address",
    "article",
    "blockquote",
    "body",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "footer",
    "form",
    "header",
    "hr",
    "html",
    "main",
    "nav",
    "section",
    "table",
    "tbody",
    "thead",
    "tr",
];
/// Elements with an empty line around them.
const PARAGRAPHS: [&str; 10] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "ul", "pre"];
/// Elements without content; a hidden one hides nothing.
pub(super) const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// The text of an HTML document.
pub(crate) fn of(html: &str) -> String {
    let mut writer = Writer::default();
    let mut hidden: Option<(String, usize)> = None;
    let mut rest = html;
    while let Some(piece) = next_piece(&mut rest) {
        match (&mut hidden, piece) {
            (None, Piece::Text(text)) => writer.words(&decoded(text)),
            (None, Piece::Tag(tag)) if !tag.closes && !tag.is_void() && tag.is_hidden() => {
                hidden = Some((tag.name, 1));
            }
            (None, Piece::Tag(tag)) => writer.tag(&tag),
            // Inside a hidden element only its own name counts, so that it ends where it should.
            (Some((name, depth)), Piece::Tag(tag)) if *name == tag.name => {
                *depth = if tag.closes { *depth - 1 } else { *depth + 1 };
                if *depth == 0 {
                    hidden = None;
                }
            }
            (Some(_), _) => {}
        }
    }
    writer.finish()
}

pub(super) enum Piece<'a> {
    Text(&'a str),
    Tag(Tag<'a>),
}

pub(super) struct Tag<'a> {
    pub(super) name: String,
    pub(super) closes: bool,
    pub(super) attributes: &'a str,
}

impl Tag<'_> {
    fn is_void(&self) -> bool {
        VOID.contains(&self.name.as_str()) || self.attributes.ends_with('/')
    }

    fn is_hidden(&self) -> bool {
        let style = self.attribute("style").unwrap_or_default().replace(' ', "").to_ascii_lowercase();
        HIDDEN.contains(&self.name.as_str()) || style.contains("display:none")
    }

    /// The value of an attribute, decoded.
    fn attribute(&self, wanted: &str) -> Option<String> {
        let found = self.attributes().find(|a| a.valued && a.name.eq_ignore_ascii_case(wanted));
        found.map(|attribute| decoded(attribute.value))
    }

    /// The attributes in their order.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        let all = self.attributes;
        let mut rest = all.trim_start();
        std::iter::from_fn(move || {
            let start = all.len() - rest.len();
            let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let value = after.trim_start().strip_prefix('=').map(str::trim_start);
            let (text, after) = value.map_or(("", after), attribute_value);
            let at = start..all.len() - after.len();
            rest = after.trim_start();
            let quoted = value.is_some_and(|value| value.starts_with(['"', '\'']));
            (!at.is_empty()).then_some(Attribute { name, value: text, valued: value.is_some(), quoted, at })
        })
    }
}

/// An attribute of a tag.
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    /// As it is written.
    pub(super) value: &'a str,
    valued: bool,
    pub(super) quoted: bool,
    /// Where it is among the attributes.
    pub(super) at: std::ops::Range<usize>,
}

fn attribute_value(text: &str) -> (&str, &str) {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote {
        Some(quote) => text[1..].split_once(quote).unwrap_or((&text[1..], "")),
        None => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    }
}

/// Takes the next text or tag off the front. Each byte is looked at a bounded number of times.
pub(super) fn next_piece<'a>(rest: &mut &'a str) -> Option<Piece<'a>> {
    loop {
        let text = *rest;
        if text.is_empty() {
            return None;
        }
        let Some(inside) = text.strip_prefix('<') else {
            let (before, after) = text.split_at(text.find('<').unwrap_or(text.len()));
            *rest = after;
            return Some(Piece::Text(before));
        };
        if let Some(comment) = inside.strip_prefix("!--") {
            *rest = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if inside.starts_with(['!', '?']) {
            *rest = inside.split_once('>').map_or("", |(_, after)| after);
        } else if inside.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic()) {
            let (tag, after) = inside.split_at(tag_end(inside));
            *rest = after.strip_prefix('>').unwrap_or(after);
            return Some(Piece::Tag(parsed_tag(tag)));
        } else {
            *rest = inside;
            return Some(Piece::Text(&text[..1]));
        }
    }
}

/// Where the tag ends: at the first `>` outside quotes.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn parsed_tag(text: &str) -> Tag<'_> {
    let (closes, text) = text.strip_prefix('/').map_or((false, text), |t| (true, t));
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, attributes) = text.split_at(end);
    Tag { name: name.to_ascii_lowercase(), closes, attributes }
}

/// Writes words with the white space that is due between them.
#[derive(Default)]
struct Writer {
    out: String,
    /// Line breaks due before the next word.
    breaks: usize,
    /// A space is due before the next word.
    space: bool,
    /// The address of the open link, and where its text began.
    link: Option<(String, usize)>,
}

impl Writer {
    fn words(&mut self, text: &str) {
        // A no-break space is kept from collapsing by HTML, but in a text part it is only a space.
        for (at, word) in text.split(|c: char| c.is_whitespace()).enumerate() {
            self.space |= at > 0;
            if !word.is_empty() {
                self.word(word);
            }
        }
    }

    fn word(&mut self, word: &str) {
        if !self.out.is_empty() {
            if self.breaks > 0 {
                self.out.extend(std::iter::repeat_n('\n', self.breaks));
            } else if self.space {
                self.out.push(' ');
            }
        }
        (self.breaks, self.space) = (0, false);
        self.out.push_str(word);
    }

    fn break_lines(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        match (tag.name.as_str(), tag.closes) {
            ("br", _) => self.breaks = (self.breaks + 1).min(2),
            ("td" | "th", true) => self.space = true,
            ("li", false) => {
                self.break_lines(1);
                self.word("-");
                self.space = true;
            }
            ("img", _) => self.words(&tag.attribute("alt").unwrap_or_default()),
            ("a", false) => self.link = tag.attribute("href").map(|url| (url, self.out.len())),
            ("a", true) => self.end_link(),
            (name, _) if PARAGRAPHS.contains(&name) => self.break_lines(2),
            (name, _) if BLOCKS.contains(&name) => self.break_lines(1),
            _ => {}
        }
    }

    fn end_link(&mut self) {
        let Some((url, start)) = self.link.take() else { return };
        let url = url.trim();
        let text = self.out.get(start..).unwrap_or_default().trim();
        let leads = ["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| url.starts_with(scheme));
        if !leads || text == url || url.split_once(':').is_some_and(|(_, bare)| bare == text) {
            return;
        }
        if text.is_empty() {
            self.word(url);
        } else {
            self.space = true;
            self.word(&format!("({url})"));
        }
    }

    fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn blocks_become_lines_and_links_show_their_address() {
        for (html, text) in [
            ("<p>Hello <b>Ada</b>,</p><p>your order\n  is ready.</p>", "Hello Ada,\n\nyour order is ready."),
            (
                "<a href=\"https://example.com/?a=1&amp;b=2\">Open</a> it",
                "Open (https://example.com/?a=1&b=2) it",
            ),
            ("<a href='https://example.com'>https://example.com</a>", "https://example.com"),
            ("<a href=\"mailto:help@example.com\">help@example.com</a>", "help@example.com"),
            ("<a href=https://example.com><img src=x></a>", "https://example.com"),
            ("<a href=\"#top\">Top</a>", "Top"),
            ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
            (
                "<table><tr><td>Order</td><td>A-1</td></tr><tr><td>Total</td><td>5</td></tr></table>",
                "Order A-1\nTotal 5",
            ),
            ("a<br>b<br/><br>c", "a\nb\n\nc"),
            ("Tom &amp; Ada &lt;3 &eacute; &#233;&#xe9; &#0; &", "Tom & Ada <3 &eacute; éé \0 &"),
            ("<img alt='Our logo'>", "Our logo"),
        ] {
            assert_eq!(of(html), text, "{html}");
        }
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        let html = "<!doctype html><html><head><title>T</title><style>p > a { x }</style></head><body>\
            <!-- <p>no</p> --><div style=\"color:red; Display: none\">pre<div>header</div></div>\
            <script>if (a < b) { x }</script><p title=\"a > b\">Seen</p></body></html>";
        assert_eq!(of(html), "Seen");
    }

    #[test]
    fn broken_html_gives_text_and_never_a_panic() {
        for (html, text) in [
            ("", ""),
            ("1 < 2 > 0", "1 < 2 > 0"),
            ("<", "<"),
            ("<p", ""),
            ("</", ""),
            ("<a href=\"x>never closed", ""),
            ("<!-- open", ""),
            ("<p>a</div></p></p>b", "a\n\nb"),
            ("&;&#;&#x;&#xffffffff;é&é;", "&;&#;&#x;&#xffffffff;é&é;"),
        ] {
            assert_eq!(of(html), text, "{html}");
        }
        let every_piece =
            ["<", ">", "/", "a", " ", "=", "\"", "'", "!--", "&", ";", "é", "p", "href", "#", "-"];
        let mut state: usize = 7;
        for _ in 0..5_000 {
            let html: String = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                every_piece[(state >> 33) % every_piece.len()]
            })
            .take(20)
            .collect();
            of(&html);
        }
    }
}
