//! From the email part of a template to subject, HTML and text. The only place where data meets HTML, so the HTML part
//! is the one that is escaped (by its name, in `render/engine.rs`). SES comes next.

use carillon_domain::Rendered;
use carillon_domain::template::EmailPart;
use carillon_pipeline::ports::RenderError;

use crate::render::{Fill, css, html_text};

const SUBJECT: &str = "/email/subject";
/// The part whose data is escaped.
pub(crate) const HTML: &str = "/email/html";
const TEXT: &str = "/email/text";

/// RFC 5322, section 2.1.1: a line must have no more than 998 bytes.
const MAX_SUBJECT_BYTES: usize = 998;

/// The texts of the part with their pointers.
pub(crate) fn texts(part: &EmailPart) -> Vec<(String, &str)> {
    let mut texts = vec![(SUBJECT.to_owned(), part.subject.as_str()), (HTML.to_owned(), part.html.as_str())];
    texts.extend(part.text.as_deref().map(|text| (TEXT.to_owned(), text)));
    texts
}

/// The email. `styled`: what the HTML is filled from has its styles in its elements already.
pub(crate) fn render(part: &EmailPart, styled: bool, fill: Fill<'_>) -> Result<Rendered, RenderError> {
    let subject = fill(SUBJECT)?;
    if let Some(detail) = subject_fault(&subject) {
        return Err(RenderError { part: SUBJECT.to_owned(), detail });
    }
    let html = fill(HTML)?;
    if html.trim().is_empty() {
        return Err(RenderError { part: HTML.to_owned(), detail: "is empty".to_owned() });
    }
    let html = if styled { Ok(html) } else { css::inlined(html) };
    let html = html.map_err(|detail| RenderError { part: HTML.to_owned(), detail })?;
    let text = match &part.text {
        Some(_) => fill(TEXT)?,
        None => html_text::of(&html),
    };
    Ok(Rendered::Email { subject, html, text })
}

/// A line break in a subject would let data write headers.
fn subject_fault(subject: &str) -> Option<String> {
    if subject.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if subject.chars().any(|c| c.is_control() && c != '\t') {
        return Some("must be one line, without control characters".to_owned());
    }
    (subject.len() > MAX_SUBJECT_BYTES).then(|| format!("has more than {MAX_SUBJECT_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use super::subject_fault;

    #[test]
    fn a_subject_is_one_line_of_at_most_998_bytes() {
        let (long, longest) = ("é".repeat(500), "x".repeat(998));
        for bad in ["", "  ", "a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\0b", long.as_str()] {
            assert!(subject_fault(bad).is_some(), "{bad:?}");
        }
        for good in ["Commande prête", "a\tb", longest.as_str()] {
            assert_eq!(subject_fault(good), None);
        }
    }
}
