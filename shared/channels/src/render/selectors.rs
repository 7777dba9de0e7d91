//! Whether the rules of a style sheet choose elements by what a template says for good: their names, classes and ids, and
//! those of the elements around them. Read by [`super::styled`].

/// States that a reader's program knows and a style sheet cannot: such rules are never inlined.
const STATES: [&str; 4] = [":hover", ":active", ":focus", ":visited"];

/// Whether every rule outside of `@media` and the like is chosen so.
pub(super) fn are_plain(css: &str) -> bool {
    let Some(css) = without_comments(css) else { return false };
    let texts = css.split(['"', '\'']).skip(1).step_by(2);
    if css.contains('\\') || texts.into_iter().any(|text| text.contains(['{', '}', ';'])) {
        return false;
    }
    rules_are_plain(&css).unwrap_or(false)
}

/// None for what is not written to its end.
fn rules_are_plain(css: &str) -> Option<bool> {
    let mut rest = css.trim_start();
    while !rest.is_empty() {
        let at = rest.find(['{', ';'])?;
        if rest.starts_with('@') {
            if !["@media", "@font-face", "@import", "@charset"].iter().any(|rule| rest.starts_with(rule)) {
                return Some(false);
            }
            rest = if rest[at..].starts_with(';') { &rest[at + 1..] } else { after_block(&rest[at..])? };
        } else {
            if !rest[..at].split(',').all(is_plain) {
                return Some(false);
            }
            let block = rest[at..].strip_prefix('{')?;
            rest = block.split_once('}').filter(|(inside, _)| !inside.contains('{'))?.1;
        }
        rest = rest.trim_start();
    }
    Some(true)
}

fn is_plain(selector: &str) -> bool {
    let known = STATES.iter().fold(selector.to_owned(), |text, state| text.replace(state, ""));
    known.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-_.#>*".contains(c))
}

/// What follows the block that the text begins with.
fn after_block(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return text.get(at + 1..),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn without_comments(css: &str) -> Option<String> {
    let mut parts = css.split("/*");
    let mut out = parts.next()?.to_owned();
    for part in parts {
        out.push_str(part.split_once("*/")?.1);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::are_plain;

    #[test]
    fn names_classes_and_ids_are_plain_and_places_and_attributes_are_not() {
        for css in [
            "",
            "td, .a > p.b #c { color: red } /* a:first-child */ * { margin: 0 }",
            "a:hover { color: red } @media print { tr:nth-child(2) { color: red } } p { font-family: 'A B' }",
            "@import url(x.css); p{}",
        ] {
            assert!(are_plain(css), "{css}");
        }
        for css in [
            "tr:nth-child(2) { color: red }",
            "p + p { margin: 0 }",
            "p ~ p { margin: 0 }",
            "a[href] { color: red }",
            "@layer a { p:first-child { color: red } }",
            "p { content: '}' } a:first-child {",
            "p {",
            "p:not(.a) { color: red }",
        ] {
            assert!(!are_plain(css), "{css}");
        }
    }
}
