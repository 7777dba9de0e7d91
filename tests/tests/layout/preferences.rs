//! docs/preferences.md says who wins, in the words and the order of `carillon_domain::preferences`.

use carillon_domain::preferences::PRECEDENCE;

use crate::project::read;

/// The second cells of the rows of the first table whose rows are numbered.
fn numbered_rows(page: &str) -> Vec<&str> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let number: Option<usize> = cells.next()?.parse().ok();
        Some((number?, cells.next()?))
    });
    rows.zip(1..)
        .take_while(|((number, _), expected)| number == expected)
        .map(|((_, words), _)| words)
        .collect()
}

#[test]
fn the_table_of_who_wins_is_that_of_the_domain() {
    let page = read("docs/preferences.md");
    assert_eq!(numbered_rows(&page), PRECEDENCE);
}

#[test]
fn a_row_counts_when_it_has_the_next_number() {
    let page =
        "| | who |\n|---|---|\n| 1 | the one | x |\n| 2 | the other | y |\n\n| 1 | another table | z |\n";
    assert_eq!(numbered_rows(page), ["the one", "the other"]);
}
