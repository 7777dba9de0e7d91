//! The `<style>` blocks of an email move into the elements' `style` attributes, because many mail readers ignore the
//! blocks. What cannot be inlined (media queries, `:hover`) stays in its block. Read by `email/render.rs`.
//!
//! This is done to the rendered HTML, at each rendering, unless [`super::styled`] could do it to the template. An HTML
//! parser does not carry template tags through: it moves `{% for %}` out of a `<table>`, takes `{% if %}` inside a tag
//! for attributes, and drops the doctype behind a leading `{% set %}`. It costs more than all other rendering of a usual
//! email; HTML without a `<style>` block does not pay.

use css_inline::CSSInliner;

use super::html_text::{Piece, Tag, VOID, next_piece};

/// Elements inside each other. The library recurses, and some thousand levels overflow a worker's stack; mail readers
/// give up earlier.
const MAX_DEPTH: usize = 128;

/// Bytes of CSS times elements: what the `style` attributes could take if every rule met every element.
const MAX_WORK: usize = 64 * 1024 * 1024;

/// The HTML with its styles inlined, or what keeps it from being so.
pub(crate) fn inlined(html: String) -> Result<String, String> {
    if !mentions_style(&html) {
        return Ok(html);
    }
    let seen = read(&html);
    // Only in a comment, say.
    if seen.css_bytes == 0 {
        return Ok(html);
    }
    if let Some(fault) = seen.fault {
        return Err(fault);
    }
    if seen.css_bytes.saturating_mul(seen.elements) > MAX_WORK {
        return Err("has too much CSS for so many elements".to_owned());
    }
    let inliner = CSSInliner::options()
        // Nothing is fetched; without its features the library could not either.
        .load_remote_stylesheets(false)
        .keep_link_tags(true)
        .keep_style_tags(true)
        .remove_inlined_selectors(true)
        .build();
    // The library's own words could quote the text.
    inliner.inline(&html).map_err(|_| "has a <style> block that cannot be inlined".to_owned())
}

/// Cheap, because it is asked for every email.
pub(super) fn mentions_style(html: &str) -> bool {
    tags(html, b"style").next().is_some()
}

/// Where tags of this name begin.
pub(super) fn tags(html: &str, name: &'static [u8]) -> impl Iterator<Item = usize> {
    let found = |at: usize| html.as_bytes().get(at + 1..=at + name.len());
    html.match_indices('<')
        .map(|(at, _)| at)
        .filter(move |at| found(*at).is_some_and(|found| found.eq_ignore_ascii_case(name)))
}

#[derive(Default)]
struct Seen {
    elements: usize,
    css_bytes: usize,
    fault: Option<String>,
}

/// Elements whose end tag browsers supply: closing an element around them closes them.
const OPTIONAL_END: [&str; 15] = [
    "body", "colgroup", "dd", "dt", "head", "html", "li", "option", "p", "tbody", "td", "tfoot", "th",
    "thead", "tr",
];

/// Counts what is there and finds what an HTML parser would multiply: an element left open, such as `<b>`, is opened
/// again in every block that follows, so a few kilobytes could become gigabytes.
fn read(html: &str) -> Seen {
    let mut seen = Seen::default();
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(piece) = next_piece(&mut rest) {
        let Piece::Tag(tag) = piece else { continue };
        if tag.name == "style" && !tag.closes {
            let end = tags(rest, b"/style").next().unwrap_or(rest.len());
            seen.css_bytes += end;
            rest = &rest[end..];
        }
        seen.elements += usize::from(!tag.closes);
        if seen.fault.is_none() {
            seen.fault = nest(&mut open, tag).err();
        }
    }
    if seen.fault.is_none() {
        seen.fault = close_all(&mut open, None).err();
    }
    seen
}

fn nest(open: &mut Vec<String>, tag: Tag<'_>) -> Result<(), String> {
    if tag.closes {
        return close(open, &tag.name);
    }
    // `<b/>` is `<b>` to an HTML parser.
    if VOID.contains(&tag.name.as_str()) {
        return Ok(());
    }
    end_the_one_before(open, &tag.name);
    open.push(tag.name);
    if open.len() > MAX_DEPTH {
        return Err(format!(
            "has a <style> block, so its elements may be {MAX_DEPTH} levels deep; it has more"
        ));
    }
    Ok(())
}

/// A row ends the row before it, with its cells.
fn end_the_one_before(open: &mut Vec<String>, name: &str) {
    let same = open.iter().rev().take_while(|o| OPTIONAL_END.contains(&o.as_str())).position(|o| o == name);
    if let Some(above) = same {
        open.truncate(open.len() - above - 1);
    }
}

fn close(open: &mut Vec<String>, name: &str) -> Result<(), String> {
    if !open.iter().any(|o| o == name) {
        return Ok(());
    }
    close_all(open, Some(name))?;
    open.pop();
    Ok(())
}

/// Takes off what may stay open until the element of this name is on top.
fn close_all(open: &mut Vec<String>, until: Option<&str>) -> Result<(), String> {
    while let Some(last) = open.last() {
        if until == Some(last.as_str()) {
            break;
        }
        if !OPTIONAL_END.contains(&last.as_str()) {
            return Err(format!(
                "has a <style> block, so its elements must be closed in order; <{last:.20}> is not"
            ));
        }
        open.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &str = "<!doctype html><html><head><title>T</title><style>\n\
        td { padding: 4px } p { margin: 0; color: black } a:hover { color: blue }\n\
        @media (max-width: 600px) { td { padding: 1px !important } }\n</style></head><body>\
        <!--[if mso]><table><tr><td><![endif]-->\
        <p style=\"color:red\">Tom &amp; &lt;Ada&gt;<table><tr><td>1<tr><td>2</table><a href=\"/?a=1&amp;b=2\">x</a>\
        </body></html>";

    #[test]
    fn styles_move_into_the_elements_and_media_queries_stay() {
        let html = inlined(EMAIL.to_owned()).unwrap();
        for part in [
            "<!DOCTYPE html>",
            "style=\"margin: 0;color: red\"",
            "<td style=\"padding: 4px;\">1</td>",
            "a:hover { color: blue; }",
            "@media (max-width: 600px) { td { padding: 1px !important } }",
            "Tom &amp; &lt;Ada&gt;",
            "<!--[if mso]><table><tr><td><![endif]-->",
            "href=\"/?a=1&amp;b=2\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("p { margin"), "{html}");
    }

    #[test]
    fn html_without_a_style_block_comes_back_byte_for_byte() {
        for html in [
            "<p style='color:red'>x",
            "<b><i></b>",
            "<!--[if mso]><style>p{}</style><![endif]--><p>x",
            "<styled>",
        ] {
            assert_eq!(inlined(html.to_owned()).unwrap(), html);
        }
    }

    #[test]
    fn what_would_overwhelm_the_parser_is_refused() {
        let deep = "<div>".repeat(100_000) + &"</div>".repeat(100_000);
        let open = (0..5_000).fold(String::new(), |html, n| html + &format!("<b a{n}/>"))
            + &"<p>x</p>".repeat(5_000);
        let wide = format!("<style>{}</style>{}", "p{margin:0}".repeat(10_000), "<p>x</p>".repeat(10_000));
        for html in [deep, open, "<b><i>x</b></i>".to_owned(), wide] {
            let faults = inlined(format!("<style>p{{margin:0}}</style>{html}"));
            assert!(faults.is_err(), "{html:.40}");
        }
    }

    #[test]
    fn end_tags_that_html_lets_one_leave_out_may_be_left_out() {
        let rows = "<tr><td><p>a<th>b".repeat(500);
        let html =
            format!("<body><style>p{{margin:0}}</style><table>{rows}</table><ul><li>a<li>b</ul><p>x<br>y");
        assert_eq!(inlined(html).unwrap().matches("margin: 0").count(), 501);
    }

    #[test]
    fn nothing_is_fetched_and_a_link_stays() {
        let html = "<link rel=\"stylesheet\" href=\"/etc/hostname\"><style>p{margin:0}</style><p>x</p>";
        assert!(inlined(html.to_owned()).unwrap().contains("href=\"/etc/hostname\""));
    }

    #[test]
    fn broken_css_is_no_reason_not_to_send() {
        for css in ["p{", "@import url(http://example.com/x)", "::foo p >> x {}", "}}}", "<", "p{color:"] {
            let html = inlined(format!("<style>{css}</style><p>words</p>"));
            assert!(html.unwrap().contains("words"), "{css}");
        }
    }
}
