//! Styles that are put into a template say the same as styles that are put into what it renders.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use css_inline::CSSInliner;
use minijinja::{Environment, Value, context};

use super::super::html_text::{Piece, next_piece};
use super::super::{css, engine};
use super::styled;

const TABLE: &str = "<!doctype html>\n<html>\n<head><title>{{ v }}</title><style>\n\
    td { padding: 4px; color: #111 } .big td { color: red } a:hover { color: blue }\n\
    table > tr > td { margin: 1px } #one, .two p { margin: 0 }\n\
    @media (max-width: 600px) { td { padding: 1px } }\n</style></head>\n\
    <body class=\"big\"><p id=\"one\" style='color:red'>{{ v }}</p><!-- {{ v }} -->\n<table>{% for i in l %}\
    <tr><td width=\"{{ i }}\">{{ i }}</td>{% if f %}<td class=\"two\"><p>yes</p></td>{% else %}<td>no</td>{% endif %}</tr>\n\
    {% endfor %}</table>{# note #}{% set x = v %}<a href=\"https://example.com/?a={{ v }}&amp;b=1\">{{ x }}</a><br/>\
    <img alt=\"\" src=x.png></body></html>";

fn filled(html: &str, f: bool, l: &[u32]) -> String {
    let mut environment: Environment<'_> = engine::for_texts();
    environment.add_template(crate::email::render::HTML, html).unwrap();
    let context: Value = context! { v => "O'Neil & <b>\"Sons\"</b>", f => f, l => l.to_vec() };
    engine::fill(&environment, crate::email::render::HTML, context).unwrap()
}

/// As an HTML parser reads it: texts, and tags with their attributes in one order. A block has its rules only if they
/// are for every rendering, because one for elements that a rendering lacks stays in the block when that is asked last.
fn parsed(html: &str) -> Vec<String> {
    let inliner = CSSInliner::options().inline_style_tags(false).keep_style_tags(true).keep_link_tags(true);
    let html = inliner.build().inline(html).unwrap();
    let (mut pieces, mut rest, mut in_block) = (Vec::new(), html.as_str(), false);
    while let Some(piece) = next_piece(&mut rest) {
        pieces.push(match piece {
            Piece::Text(rules) if in_block => {
                rules.lines().filter(|rule| rule.starts_with(['@', 'a'])).collect::<Vec<_>>().join(" ")
            }
            Piece::Text(text) => text.to_owned(),
            Piece::Tag(tag) => {
                in_block = tag.name == "style" && !tag.closes;
                let mut attributes: Vec<_> =
                    tag.attributes().map(|a| format!("{}={}", a.name, a.value)).collect();
                attributes.sort();
                format!("{}{} {}", if tag.closes { "/" } else { "" }, tag.name, attributes.join(" "))
            }
        });
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Fails unless both ways say the same, for data that takes all branches and data that takes few.
fn says_the_same(template: &str) {
    let early = styled(template).unwrap_or_else(|| panic!("left to each rendering: {template}"));
    assert_eq!(early.lines().count(), template.lines().count());
    for f in [true, false] {
        for l in [&[][..], &[1], &[1, 2, 3]] {
            let (before, after) = (filled(&early, f, l), css::inlined(filled(template, f, l)).unwrap());
            assert_eq!(parsed(&before), parsed(&after), "{template}");
        }
    }
}

#[test]
fn a_template_with_branches_and_loops_is_styled_once() {
    says_the_same(TABLE);
    let html = styled(TABLE).unwrap();
    for part in [
        "<!doctype html>\n<html>\n<head><title>{{ v }}</title>",
        "@media (max-width: 600px)",
        "a:hover",
        "<tr><td width=\"{{ i }}\" style=\"padding: 4px;color: red;\">{{ i }}</td>{% if f %}",
        "{% endfor %}</table>{# note #}{% set x = v %}<a href",
        "<br/>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("padding: 4px; color: #111"), "{html}");
}

/// The packs' own HTML, its styles moved from the elements into a block, and its variables and branches into simple ones.
#[test]
fn every_packs_html_says_the_same_with_its_styles_in_a_block() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates");
    let mut seen = 0;
    for path in files(&folder) {
        if path.extension().is_some_and(|kind| kind == "html") {
            seen += 1;
            says_the_same(&with_a_block(&fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(seen > 20, "{seen}");
}

fn files(path: &Path) -> Vec<PathBuf> {
    match fs::read_dir(path) {
        Ok(entries) => entries.flat_map(|entry| files(&entry.unwrap().path())).collect(),
        Err(_) => vec![path.to_owned()],
    }
}

fn with_a_block(html: &str) -> String {
    let (mut out, mut rules, mut rest) = (String::new(), String::new(), html);
    let mut n = 0;
    while let Some((before, after)) = rest.split_once(" style=\"") {
        let (style, after) = after.split_once('"').unwrap();
        out += before;
        write!(out, " class=\"c{n}\"").unwrap();
        let style = style.replace("{{ band }}", "#b45309");
        writeln!(rules, ".c{n} {{ {style} }}").unwrap();
        (rest, n) = (after, n + 1);
    }
    let html = (out + rest).replace("{%-", "{%");
    let html = replaced(&replaced(&html, "{{", "}}", "{{ v }}"), "{% set", "%}", "{% set s = v %}");
    let html = replaced(&replaced(&html, "{% if", "%}", "{% if f %}"), "{% elif", "%}", "{% elif l %}");
    let html = replaced(&html, "{% for", "%}", "{% for i in l %}");
    html.replace("</head>", &format!("<style>\n{rules}</style></head>"))
}

fn replaced(text: &str, from: &str, to: &str, by: &str) -> String {
    let mut parts = text.split(from);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |out, part| out + by + part.split_once(to).unwrap().1)
}

#[test]
fn what_data_may_change_is_left_to_each_rendering() {
    for body in [
        "<p class=\"{{ v }}\">x</p>",
        "<p style=\"color:{{ v }}\">x</p>",
        "<p {% if f %}id=\"a\"{% endif %}>x</p>",
        "<p title={{ v }}>x</p>",
        "<{{ v }}>x</{{ v }}>",
        "{% if f %}<div class=\"a\">{% else %}<div>{% endif %}<p>x</p></div>",
        "<div>{% if f %}</div><div>{% endif %}</div>",
        "<!-- {% if f %} --><p>x</p><!-- {% endif %} -->",
        "<p>{% if f %}<div>x</div>{% endif %}<b>y</b></p>",
        "<table><tr><p>x</p></tr></table>",
        "<b><i>x</b></i>",
        "<p>x",
        "<p style='top:0' style='top:1px'>x</p>",
        "<img alt=\"é>",
        "<o:p>x</o:p>",
        "{{ v | safe }}",
        "{% if f %}<style>p { color: red }</style>{% endif %}",
        "<style>p:first-child { color: red }</style>",
        "<style>.{{ v }} { color: red }</style>",
        "<style>p { color: red }",
        "<p style=\"content:'&#123;{ v }}'\">x</p>",
    ] {
        let template = format!("<style>p {{ margin: 0 }} b {{ color: red }}</style>{body}");
        assert_eq!(styled(&template), None, "{body}");
    }
    assert_eq!(styled("<p style=\"margin:0\">no block</p>"), None);
}
