//! Small pieces of sentences that several commands print: counts, lists, and names in a command line to copy.

/// `1 member`, `2 members`.
#[must_use]
pub fn counted(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// The first few of a list, and how many more there are.
#[must_use]
pub fn some_of<T: AsRef<str>>(names: &[T], shown: usize) -> String {
    let first: Vec<&str> = names.iter().take(shown).map(AsRef::as_ref).collect();
    let more = names.len() - first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// A word of a command line, as a shell reads it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_lists_read_as_words() {
        assert_eq!(
            (counted(1, "member"), counted(0, "member")),
            ("1 member".to_owned(), "0 members".to_owned())
        );
        assert_eq!(some_of(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(some_of(&["a", "b"], 2), "a, b");
    }

    #[test]
    fn a_name_is_one_word_of_a_command_line() {
        assert_eq!(quoted("+12025550101"), "+12025550101");
        assert_eq!(quoted("Sales Team"), "'Sales Team'");
        assert_eq!(quoted("Ada's; rm"), r"'Ada'\''s; rm'");
        assert_eq!(quoted(""), "''");
    }
}
