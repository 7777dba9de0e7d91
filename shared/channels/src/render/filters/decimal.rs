//! Decimal text as digits, so that amounts are never floats. Read by `money.rs` and `plural.rs`.

use super::Fault;

/// More digits than any amount has; a bound for what a template can make of a long text.
const MAX_CHARS: usize = 64;

const NOT_A_NUMBER: Fault = Fault("is not a number; write it like 1234.50");

/// A decimal number: its sign and its digits before and after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    /// Without leading zeros, `0` at least.
    pub(super) whole: String,
    /// As written.
    pub(super) fraction: String,
}

impl Decimal {
    /// Reads `-1234.50`: ASCII digits with at most one sign and one point.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(NOT_A_NUMBER),
            None => (unsigned, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || text.len() > MAX_CHARS || !digits(whole) || !digits(fraction) {
            return Err(NOT_A_NUMBER);
        }
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            trimmed => trimmed,
        };
        Ok(Self { negative, whole: whole.to_owned(), fraction: fraction.to_owned() })
    }

    /// Exactly so many digits after the point; a half goes to the even neighbour.
    pub(super) fn rounded(&self, places: usize) -> Self {
        let kept: String = self.fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
        let mut digits = format!("0{}{kept}", self.whole).into_bytes();
        let rest = self.fraction.get(places..).unwrap_or_default().as_bytes();
        let odd = digits.last().is_some_and(|d| d % 2 == 1);
        if rounds_up(rest, odd) {
            add_one(&mut digits);
        }
        let text: String = digits.into_iter().map(char::from).collect();
        let (whole, fraction) = text.split_at(text.len() - places);
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            trimmed => trimmed,
        };
        let zero = whole == "0" && fraction.bytes().all(|b| b == b'0');
        Self { negative: self.negative && !zero, whole: whole.to_owned(), fraction: fraction.to_owned() }
    }
}

/// Whether what is cut off takes the last digit up by one.
fn rounds_up(rest: &[u8], odd: bool) -> bool {
    let Some((first, others)) = rest.split_first() else { return false };
    match first {
        b'6'..=b'9' => true,
        b'5' => odd || others.iter().any(|d| *d != b'0'),
        _ => false,
    }
}

/// The leading zero takes the last carry.
fn add_one(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(text: &str, places: usize) -> String {
        let Decimal { negative, whole, fraction } = Decimal::parse(text).unwrap().rounded(places);
        format!("{}{whole}.{fraction}", if negative { "-" } else { "" })
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        for (text, places, is) in [
            ("2.345", 2, "2.34"),
            ("2.355", 2, "2.36"),
            ("2.3450000001", 2, "2.35"),
            ("0.5", 0, "0."),
            ("1.5", 0, "2."),
            ("999.995", 2, "1000.00"),
            ("-0.004", 2, "0.00"),
            ("-0.006", 2, "-0.01"),
            ("007", 2, "7.00"),
            ("99999999999999999999.99", 1, "100000000000000000000.0"),
        ] {
            assert_eq!(rounded(text, places), is, "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_decimal_text_is_refused() {
        let long = "1".repeat(65);
        for bad in
            ["", "-", ".5", "5.", "1,5", "1 000", "1e3", "NaN", "inf", "--1", "٣", "1.-5", long.as_str()]
        {
            assert!(Decimal::parse(bad).is_err(), "{bad:?}");
        }
    }
}
