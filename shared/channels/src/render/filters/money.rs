//! `amount | money("EUR")`: an amount in the form of the reader's locale, after CLDR 48 for English and French. Takes
//! decimal text and rounds it to the currency's minor unit; the template prints what comes out.

use super::decimal::Decimal;
use super::{Fault, Words};

/// CLDR's narrow no-break space between groups, and no-break space before a unit, so that no amount is torn apart.
const NARROW_SPACE: &str = "\u{202f}";
const SPACE: &str = "\u{a0}";

/// The amount with its currency.
pub(super) fn money(words: Words, amount: &str, currency: &str) -> Result<String, Fault> {
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(Fault("needs a currency code of three letters, such as EUR"));
    }
    let currency = currency.to_ascii_uppercase();
    let amount = Decimal::parse(amount)?.rounded(minor_digits(&currency));
    let sign = if amount.negative { "-" } else { "" };
    Ok(match words {
        Words::AmericanEnglish | Words::English => {
            let number = number(&amount, ",", ".");
            match english_symbol(&currency) {
                Some(symbol) => format!("{sign}{symbol}{number}"),
                None => format!("{sign}{number}{SPACE}{currency}"),
            }
        }
        Words::French => {
            let unit = french_symbol(&currency).unwrap_or(&currency);
            format!("{sign}{}{SPACE}{unit}", number(&amount, NARROW_SPACE, ","))
        }
        Words::Other => format!("{sign}{}{SPACE}{currency}", number(&amount, "", ".")),
    })
}

fn number(amount: &Decimal, group: &str, point: &str) -> String {
    let mut text = String::with_capacity(32);
    for (at, digit) in amount.whole.chars().enumerate() {
        if at > 0 && (amount.whole.len() - at).is_multiple_of(3) {
            text.push_str(group);
        }
        text.push(digit);
    }
    if !amount.fraction.is_empty() {
        text.push_str(point);
        text.push_str(&amount.fraction);
    }
    text
}

/// Digits of the minor unit (ISO 4217, list one, 2026).
fn minor_digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

fn english_symbol(currency: &str) -> Option<&'static str> {
    Some(match currency {
        "AUD" => "A$",
        "BRL" => "R$",
        "CAD" => "CA$",
        "EUR" => "€",
        "GBP" => "£",
        "ILS" => "₪",
        "INR" => "₹",
        "JPY" => "¥",
        "KRW" => "₩",
        "MXN" => "MX$",
        "NZD" => "NZ$",
        "USD" => "$",
        "VND" => "₫",
        _ => return None,
    })
}

fn french_symbol(currency: &str) -> Option<&'static str> {
    Some(match currency {
        "AUD" => "$AU",
        "CAD" => "$CA",
        "EUR" => "€",
        "GBP" => "£GB",
        "INR" => "₹",
        "KRW" => "₩",
        "NZD" => "$NZ",
        "USD" => "$US",
        "XAF" => "FCFA",
        "XOF" => "F\u{202f}CFA",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_form_of_its_locale_and_the_digits_of_its_currency() {
        for (words, amount, currency, is) in [
            (Words::AmericanEnglish, "1234.5", "USD", "$1,234.50"),
            (Words::English, "1234.5", "eur", "€1,234.50"),
            (Words::English, "-1234567.891", "GBP", "-£1,234,567.89"),
            (Words::English, "1234.5", "JPY", "¥1,234"),
            (Words::English, "1.0005", "KWD", "1.000\u{a0}KWD"),
            (Words::English, "1234.5", "XYZ", "1,234.50\u{a0}XYZ"),
            (Words::English, "0", "USD", "$0.00"),
            (Words::French, "1234.5", "EUR", "1\u{202f}234,50\u{a0}€"),
            (Words::French, "999", "XOF", "999\u{a0}F\u{202f}CFA"),
            (Words::French, "-1234567", "XYZ", "-1\u{202f}234\u{202f}567,00\u{a0}XYZ"),
            (Words::Other, "1234.5", "EUR", "1234.50\u{a0}EUR"),
        ] {
            assert_eq!(money(words, amount, currency).unwrap(), is);
        }
    }

    #[test]
    fn a_currency_is_a_code_of_three_letters() {
        for bad in ["", "EU", "EURO", "E1R", "€", "$$$"] {
            assert!(money(Words::English, "1", bad).is_err(), "{bad:?}");
        }
    }
}
