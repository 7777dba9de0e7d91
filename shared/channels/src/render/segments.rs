//! The template language set apart from the HTML around it: each `{{ }}`, `{% %}` and `{# #}` becomes one character that
//! no text has, and comes back at the end. Read by [`super::styled`].

/// Stands for `{{ }}`.
pub(super) const VALUE: char = '\u{e000}';
/// Stands for the tag that begins a branch: `if`, `for`.
pub(super) const BEGIN: char = '\u{e001}';
/// Stands for the tag that ends one branch and begins another: `elif`, `else`.
const NEXT: char = '\u{e002}';
/// Stands for the tag that ends a branch.
pub(super) const END: char = '\u{e003}';
/// Stands for what writes nothing: a comment, `set`.
const NOTHING: char = '\u{e004}';

/// Whether a character stands for anything of the template language.
pub(super) fn is_any(c: char) -> bool {
    (VALUE..=NOTHING).contains(&c)
}

/// Whether a character stands for a tag of a branch.
pub(super) fn is_branch(c: char) -> bool {
    (BEGIN..=END).contains(&c)
}

/// A template without its language.
pub(super) struct Segments<'a> {
    pub(super) flat: String,
    /// What the characters of `flat` stand for, in their order.
    pub(super) segments: Vec<&'a str>,
}

/// Sets the template language apart. None where a tag does more than branch, or may write HTML.
pub(super) fn flattened(template: &str) -> Option<Segments<'_>> {
    if template.contains(is_any) {
        return None;
    }
    let (mut flat, mut segments) = (String::with_capacity(template.len()), Vec::new());
    let mut rest = template;
    while let Some(at) = first_opening(rest) {
        let (before, opened) = rest.split_at(at);
        let (segment, after) = opened.split_at(length(opened)?);
        flat.push_str(before);
        flat.push(kind(segment)?);
        segments.push(segment);
        rest = after;
    }
    flat.push_str(rest);
    Some(Segments { flat, segments })
}

/// The text with a letter for each value, and nothing for the rest.
pub(super) fn stood_in(flat: &str) -> String {
    flat.chars().filter(|c| *c == VALUE || !is_any(*c)).map(|c| if c == VALUE { 'x' } else { c }).collect()
}

/// The text with the template language in its places. None if the text has come to speak it by itself.
pub(super) fn unflattened(flat: &str, segments: &[&str]) -> Option<String> {
    if first_opening(flat).is_some() {
        return None;
    }
    let mut segments = segments.iter();
    let mut out = String::with_capacity(flat.len() * 2);
    for c in flat.chars() {
        if is_any(c) { out.push_str(segments.next()?) } else { out.push(c) }
    }
    segments.next().is_none().then_some(out)
}

fn first_opening(text: &str) -> Option<usize> {
    ["{{", "{%", "{#"].into_iter().filter_map(|opening| text.find(opening)).min()
}

/// How long the segment is that the text begins with.
fn length(opened: &str) -> Option<usize> {
    let closing = match opened.as_bytes().get(1)? {
        b'{' => "}}",
        b'%' => "%}",
        _ => return Some(opened.find("#}")? + 2),
    };
    let mut quote = None;
    for (at, c) in opened.char_indices().skip(2) {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            // Braces of a map, or an escape in a text: not worth following.
            (None, '{') | (Some(_), '\\') => return None,
            (None, _) if opened[at..].starts_with(closing) => return Some(at + 2),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// What stands for a segment. Data is escaped unless a filter says that it is HTML.
fn kind(segment: &str) -> Option<char> {
    if segment.starts_with("{#") {
        return Some(NOTHING);
    }
    if segment.contains("safe") || segment.contains("recursive") {
        return None;
    }
    if segment.starts_with("{{") {
        return Some(VALUE);
    }
    let inside = segment.get(2..)?.trim_start_matches(['-', '+']).trim_start();
    match inside.split(|c: char| !c.is_ascii_alphabetic()).next()? {
        "if" | "for" => Some(BEGIN),
        "elif" | "else" => Some(NEXT),
        "endif" | "endfor" => Some(END),
        "set" => Some(NOTHING),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_language_comes_back_where_it_was() {
        for (template, shape) in [
            ("<p>{{ a }}{# {{ b }} #}{% if a %}1{% else %}2{%- endif -%}</p>", "<p>VN(1|2)</p>"),
            ("{% for a in b %}{{ \"}}\" ~ '%}' }}{% endfor %}{% set c = 1 %}", "(V)N"),
            ("plain { text } %}", "plain { text } %}"),
        ] {
            let Segments { flat, segments } = flattened(template).unwrap();
            let shown = |c| match c {
                VALUE => 'V',
                BEGIN => '(',
                NEXT => '|',
                END => ')',
                NOTHING => 'N',
                c => c,
            };
            assert_eq!(flat.chars().map(shown).collect::<String>(), shape);
            assert_eq!(unflattened(&flat, &segments).unwrap(), template);
        }
    }

    #[test]
    fn what_may_write_html_is_left_alone() {
        for template in [
            "{{ a | safe }}",
            "{% macro m() %}{% endmacro %}",
            "{% set a %}<p>{% endset %}",
            "{% raw %}<p>{% endraw %}",
            "{% for a in b recursive %}{% endfor %}",
            "{% filter upper %}a{% endfilter %}",
            "{{ {'a': 1}.a }}",
            "{{ a",
            "\u{e000}",
        ] {
            assert!(flattened(template).is_none(), "{template}");
        }
    }
}
