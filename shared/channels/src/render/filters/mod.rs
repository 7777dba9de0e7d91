//! The filters that templates get beyond minijinja's own: `money`, `date` and `plural`, in the words of the template's
//! locale. [`super::engine`] adds them to the environment of each locale.

mod date;
mod decimal;
mod money;
mod plural;

use std::error::Error as StdError;
use std::fmt;

use minijinja::value::{StringInput, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Adds the filters for the texts of one locale.
pub(super) fn add(environment: &mut Environment<'static>, locale: &str) {
    let words = Words::of(locale);
    environment.add_filter(
        "money",
        move |state: &mut State<'_, '_>, amount: Value, currency: Value| -> Result<String, Error> {
            Ok(money::money(words, &text(state, &amount)?, &text(state, &currency)?)?)
        },
    );
    environment.add_filter(
        "date",
        move |state: &mut State<'_, '_>, value: Value, format: Option<Value>| -> Result<String, Error> {
            let value = text(state, &value)?;
            let format = match format {
                Some(format) => text(state, &format)?,
                None => date::DEFAULT.to_owned(),
            };
            Ok(date::date(words, &value, &format, zone(state).as_deref())?)
        },
    );
    environment.add_filter(
        "plural",
        move |state: &mut State<'_, '_>, count: Value, one: Value, many: Value| -> Result<Value, Error> {
            let is_one = plural::is_one(words, &text(state, &count)?)?;
            Ok(if is_one { one } else { many })
        },
    );
}

/// Whose conventions a locale follows; what has no entry gets forms that no reader can take for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// Month before day and a clock of twelve hours: `en`, `en-US`.
    AmericanEnglish,
    /// Day before month: `en-GB`, `en-ZW` and the others.
    English,
    French,
    Other,
}

impl Words {
    fn of(locale: &str) -> Self {
        let mut parts = locale.split(['-', '_']).map(str::to_ascii_lowercase);
        let language = parts.next().unwrap_or_default();
        let region = parts.find(|part| part.len() == 2);
        match (language.as_str(), region.as_deref()) {
            ("en", None | Some("us")) => Self::AmericanEnglish,
            ("en", Some(_)) => Self::English,
            ("fr", _) => Self::French,
            _ => Self::Other,
        }
    }
}

/// Why a filter has no answer. The words are fixed, so that no data can be in them: the one kind of error whose own
/// words `engine::reason` shows without looking.
#[derive(Debug)]
pub(super) struct Fault(pub(super) &'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(ErrorKind::InvalidOperation, fault.0).with_source(fault)
    }
}

/// A text or number as text: a float in the shortest form that means it, which is how it was written in the data.
/// What is undefined is an error that names it.
fn text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::String | ValueKind::Number => {
            StringInput::new(state, value).map(|text| text.as_str().to_owned())
        }
        _ => Err(Fault("needs a text or a number").into()),
    }
}

/// The reader's time zone.
fn zone(state: &State<'_, '_>) -> Option<String> {
    let recipient = state.lookup("recipient")?;
    recipient.get_attr("time_zone").ok()?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_read_by_its_language_and_region() {
        for (locale, words) in [
            ("en", Words::AmericanEnglish),
            ("en_US", Words::AmericanEnglish),
            ("en-Latn-US", Words::AmericanEnglish),
            ("en-GB", Words::English),
            ("EN-zw", Words::English),
            ("fr-CA", Words::French),
            ("de", Words::Other),
            ("", Words::Other),
        ] {
            assert_eq!(Words::of(locale), words, "{locale}");
        }
    }
}
