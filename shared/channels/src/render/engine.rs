//! The template language: minijinja with bounds. Tenants write templates, so a template may run for so long, write so
//! much, and reach nothing but its context. Makes the environments that [`super::cache`] fills.

use std::error::Error as _;
use std::io;

use carillon_pipeline::ports::RenderError;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::filters;

/// Instructions one text may take; a table of 1,000 rows with five variables each takes an eighth of it.
const FUEL: u64 = 200_000;

/// Bytes one text may have: the size of the queue message that carries it.
pub(crate) const MAX_TEXT_BYTES: usize = 1_048_576;

/// Deep enough for any page, shallow enough for a worker's stack.
const MAX_RECURSION: usize = 100;

/// Filters that turn a number of the data into memory of that size, and functions that print everything there is.
const REMOVED_FILTERS: [&str; 5] = ["batch", "format", "indent", "pprint", "slice"];
/// A namespace carries text from one round of a loop to the next: the one way to double a text in every round.
const REMOVED_FUNCTIONS: [&str; 2] = ["debug", "namespace"];

/// For texts: what is undefined is an error, so that half a text is never sent.
pub(crate) fn for_texts() -> Environment<'static> {
    let mut environment = bounded();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Data is escaped where it meets HTML, and nowhere else: WhatsApp would show `&amp;` as it is.
    environment.set_auto_escape_callback(|part| match part {
        crate::email::render::HTML => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    environment
}

/// Gives texts the filters that speak a locale's language.
pub(crate) fn speak(environment: &mut Environment<'static>, locale: &str) {
    filters::add(environment, locale);
}

/// For conditions: what is undefined counts as false.
pub(crate) fn for_conditions() -> Environment<'static> {
    let mut environment = bounded();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
}

fn bounded() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    // Debug mode is what makes an error name the undefined expression. It also collects values of the data, which are
    // shown by `{:#}` only: `reason` below is the one place that puts an error into words.
    environment.set_debug(true);
    for name in REMOVED_FILTERS {
        environment.remove_filter(name);
    }
    for name in REMOVED_FUNCTIONS {
        environment.remove_global(name);
    }
    environment
}

/// One text with its variables filled in.
pub(crate) fn fill(environment: &Environment<'_>, part: &str, context: Value) -> Result<String, RenderError> {
    let fault = |error: &Error| RenderError { part: part.to_owned(), detail: reason(error) };
    let template = environment.get_template(part).map_err(|e| fault(&e))?;
    let mut bounded = Bounded(Vec::new());
    match template.render_captured_to(context, &mut bounded) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WriteFailure => {
            let detail = format!("the text is longer than {MAX_TEXT_BYTES} bytes");
            return Err(RenderError { part: part.to_owned(), detail });
        }
        Err(error) => return Err(fault(&error)),
    }
    let not_text = |_| RenderError { part: part.to_owned(), detail: "the text is not UTF-8".to_owned() };
    String::from_utf8(bounded.0).map_err(not_text)
}

/// What is wrong, with the line and the place in the template, and without data: minijinja's own words can quote
/// values, so they are used only for the kinds that speak of names and syntax.
pub(crate) fn reason(error: &Error) -> String {
    let own = error.source().and_then(|source| source.downcast_ref::<filters::Fault>());
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let what = match (error.kind(), error.detail()) {
        _ if own.is_some() => own.map(ToString::to_string).unwrap_or_default(),
        (ErrorKind::UndefinedError, Some(detail)) => detail.to_owned(),
        (
            kind @ (ErrorKind::SyntaxError
            | ErrorKind::BadEscape
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction),
            Some(detail),
        ) => format!("{kind}: {detail}"),
        (ErrorKind::OutOfFuel, _) => "it takes too many steps".to_owned(),
        (kind, _) => kind.to_string(),
    };
    // A syntax error speaks of its place already.
    let place = Some(error).filter(|e| e.kind() != ErrorKind::SyntaxError).and_then(place);
    let place = place.map(|place| format!(" at `{place}`")).unwrap_or_default();
    line + &what + &place
}

/// The piece of the template that failed; the template's text, not the data's.
fn place(error: &Error) -> Option<String> {
    let piece = error.template_source()?.get(error.range()?)?;
    let line = piece.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| line.chars().take(60).collect())
}

/// Takes [`MAX_TEXT_BYTES`] and refuses more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT_BYTES {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
