//! `count | plural("item", "items")`: the word that goes with a count, by CLDR's rule for the locale's language.

use super::decimal::Decimal;
use super::{Fault, Words};

/// Whether the count takes the singular.
pub(super) fn is_one(words: Words, count: &str) -> Result<bool, Fault> {
    let count = Decimal::parse(count)?;
    let is_whole = count.fraction.bytes().all(|b| b == b'0');
    Ok(match words {
        // 0, 1 and 1.5 are singular.
        Words::French => matches!(count.whole.as_str(), "0" | "1"),
        Words::AmericanEnglish | Words::English | Words::Other => is_whole && count.whole == "1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_in_french_so_is_what_is_below_two() {
        for (count, english, french) in [
            ("0", false, true),
            ("1", true, true),
            ("-1", true, true),
            ("1.0", true, true),
            ("1.5", false, true),
            ("2", false, false),
            ("11", false, false),
        ] {
            assert_eq!(is_one(Words::English, count).unwrap(), english, "{count}");
            assert_eq!(is_one(Words::French, count).unwrap(), french, "{count}");
        }
    }
}
