//! What may be kept of a provider's words: one line of at most [`Attempt::DETAIL_CHARS`] characters without address,
//! name or token. Providers quote addresses in their errors, and details end in logs and in the table.

use carillon_domain::Attempt;

/// From so many digits on, a number may be a phone number. Error codes have six.
const PHONE_DIGITS: usize = 7;

/// The text in one line, with everything hidden that could be an address, and cut. `secrets` are texts of the call
/// (token, address) that are hidden wherever they appear.
pub(crate) fn masked(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        text = text.replace(secret, "[hidden]");
    }
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if word.contains('@') { "[address]" } else { word }).collect();
    cut(&without_long_numbers(&words.join(" ")))
}

/// The first [`Attempt::DETAIL_CHARS`] characters.
fn cut(text: &str) -> String {
    text.chars().take(Attempt::DETAIL_CHARS).collect()
}

/// Hides digit runs that could be phone numbers, also when they are written in groups (`+1 202-555-0123`).
fn without_long_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_digit) = rest.split_at(start);
        let (length, digits) = number_length(from_digit);
        let (number, after) = from_digit.split_at(length);
        kept.push_str(before);
        kept.push_str(if digits >= PHONE_DIGITS { "[number]" } else { number });
        rest = after;
    }
    kept + rest
}

/// How many bytes the number at the start of the text has, separators inside it included, and how many digits.
fn number_length(text: &str) -> (usize, usize) {
    let (mut length, mut digits, mut separators) = (0, 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                separators = 0;
                length = at + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if separators < 2 => separators += 1,
            _ => break,
        }
    }
    (length, digits)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn addresses_and_tokens_are_hidden_and_codes_are_kept() {
        for (text, kept) in [
            ("(#131030) Recipient phone number not in list", "(#131030) Recipient phone number not in list"),
            ("to 12025550123 failed", "to [number] failed"),
            ("to +1 (202) 555-0123 failed", "to +[number] failed"),
            ("identities failed: <ada@example.com>, x", "identities failed: [address] x"),
            ("two\nlines\t here", "two lines here"),
            ("Bearer EAAG-secret is bad", "Bearer [hidden] is bad"),
            ("code 5.1.1 é 42", "code 5.1.1 é 42"),
        ] {
            assert_eq!(masked(text, &["EAAG-secret", ""]), kept);
        }
    }

    #[test]
    fn a_detail_has_at_most_200_characters() {
        assert_eq!(masked(&"é".repeat(300), &[]).chars().count(), 200);
    }
}
