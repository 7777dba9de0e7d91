//! Phone numbers: whatever a person or a system writes becomes E.164, or is refused with a reason.

use phonenumber::Type;
use phonenumber::metadata::DATABASE;

/// The kinds of number that somebody could receive a message at.
const DIALLED: &[Type] = &[
    Type::FixedLine,
    Type::Mobile,
    Type::Voip,
    Type::PersonalNumber,
    Type::TollFree,
    Type::SharedCost,
    Type::Uan,
];

/// Why a text is not a phone number that could exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhone {
    /// Not digits in the shape of a phone number.
    #[error("is not a phone number; write it like +12025550123")]
    Unreadable,
    /// The country has no numbers of this length.
    #[error("has a length that no number of its country has; write it like +12025550123")]
    ImpossibleLength,
}

/// Reads a number. One without plus is tried in the default region first, then as international digits (the form
/// `263771234567` that some systems store). A number is accepted when its country has numbers of that length.
///
/// # Errors
/// When no reading gives a number that could exist.
pub fn to_e164(text: &str, default_region: Option<&str>) -> Result<String, InvalidPhone> {
    let text = text.trim();
    let plausible =
        text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.' | '/'));
    if !plausible || text.len() > 40 {
        return Err(InvalidPhone::Unreadable);
    }
    if text.starts_with('+') {
        return international(text);
    }
    let region = default_region.and_then(|r| r.parse::<phonenumber::country::Id>().ok());
    if let Some(region) = region
        && let Ok(number) = phonenumber::parse(Some(region), text)
        && let Ok(e164) = checked(&number)
    {
        return Ok(e164);
    }
    international(&format!("+{text}"))
}

fn international(text: &str) -> Result<String, InvalidPhone> {
    let number = phonenumber::parse(None, text).map_err(|_| InvalidPhone::Unreadable)?;
    checked(&number)
}

fn checked(number: &phonenumber::PhoneNumber) -> Result<String, InvalidPhone> {
    // Leading zeros are part of a national number in some countries, so the length is that of the formatted text.
    let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
    let code = number.code().value();
    let national = e164.len().saturating_sub(1 + code.to_string().len());
    let Ok(length) = u16::try_from(national) else { return Err(InvalidPhone::ImpossibleLength) };
    let regions = DATABASE.by_code(&code).unwrap_or_default();
    // The database states lengths per kind of number only; the general entry is empty.
    let possible = regions.iter().any(|region| {
        DIALLED
            .iter()
            .filter_map(|kind| region.descriptors().get(*kind))
            .any(|d| d.possible_length().contains(&length))
    });
    if possible { Ok(e164) } else { Err(InvalidPhone::ImpossibleLength) }
}

/// Whether numbers can be read in this region: an ISO 3166 country in capitals that has a numbering plan.
#[must_use]
pub fn is_region(text: &str) -> bool {
    text.len() == 2
        && text.bytes().all(|b| b.is_ascii_uppercase())
        && text.parse::<phonenumber::country::Id>().is_ok()
        && DATABASE.by_id(text).is_some()
}

/// Calling codes of two digits; beside them there are 1 and 7, and all others have three (ITU-T E.164, 2026). No code begins
/// like another one, so that the first digits of a number say which it is.
const TWO_DIGITS: &[u16] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
    60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

/// The country calling code of an E.164 number, such as 33. It is read off the digits, because the database of numbering
/// plans takes a function's cold start long to load.
#[must_use]
pub fn calling_code(e164: &str) -> Option<u16> {
    let digits = e164.strip_prefix('+')?;
    let first = |n: usize| digits.get(..n)?.parse::<u16>().ok();
    match first(1)? {
        0 => None,
        code @ (1 | 7) => Some(code),
        _ => first(2).filter(|code| TWO_DIGITS.contains(code)).or_else(|| first(3)),
    }
}

/// The calling code of an ISO 3166 country.
#[must_use]
pub fn calling_code_of_region(region: &str) -> Option<u16> {
    is_region(region).then(|| DATABASE.by_id(region).map(phonenumber::Metadata::country_code))?
}

/// The number with all but its country's first digits and its last two hidden, for people who may not see it.
#[must_use]
pub fn masked(e164: &str) -> String {
    let digits: Vec<char> = e164.chars().collect();
    let shown_end = digits.len().saturating_sub(2);
    digits.iter().enumerate().map(|(i, c)| if i < 3 || i >= shown_end { *c } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_e164_in_its_region_or_as_international_digits() {
        for (text, region, e164) in [
            ("+1 202 555 0123", None, "+12025550123"),
            ("(202) 555-0123", Some("US"), "+12025550123"),
            ("12025550123", Some("US"), "+12025550123"),
            ("263771234567", Some("ZW"), "+263771234567"),
            ("263771234567", None, "+263771234567"),
            ("0771234567", Some("ZW"), "+263771234567"),
            ("06 12 34 56 78", Some("FR"), "+33612345678"),
            ("+390612345678", None, "+390612345678"),
        ] {
            assert_eq!(to_e164(text, region).as_deref(), Ok(e164), "{text} in {region:?}");
        }
    }

    #[test]
    fn an_impossible_number_is_refused() {
        for text in [
            "",
            "+",
            "abc",
            "+1",
            "+1202555",
            "+120255501234567",
            "+999123456",
            "call me",
            "00",
            "+1 202 555 0123 ext",
        ] {
            assert!(to_e164(text, Some("US")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_calling_code_is_what_the_database_says() {
        for text in [
            "+12025550123",
            "+77010000000",
            "+33612345678",
            "+263771234567",
            "+390612345678",
            "+8613812345678",
        ] {
            let known = phonenumber::parse(None, text).unwrap().code().value();
            assert_eq!(calling_code(text), Some(known), "{text}");
        }
        for code in 1..999_u16 {
            if DATABASE.by_code(&code).is_some() {
                assert_eq!(calling_code(&format!("+{code}5550123")), Some(code));
            }
        }
        assert_eq!((calling_code("+"), calling_code("33612345678"), calling_code("+0")), (None, None, None));
    }

    #[test]
    fn a_region_is_a_country_that_has_numbers() {
        for region in ["US", "ZW", "FR", "BR", "IN"] {
            assert!(is_region(region), "{region}");
        }
        for text in ["", "us", "XX", "ZZ", "USA", "001", "France"] {
            assert!(!is_region(text), "{text}");
        }
    }

    #[test]
    fn a_masked_number_hides_its_middle() {
        assert_eq!(masked("+12025550123"), "+12*******23");
    }
}
