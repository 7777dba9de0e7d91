//! docs/preferences.md says who wins, in the words and the order of `carillon_domain::preferences`, and each of its examples
//! comes out as it says.

use carillon_domain::parse::from_value;
use carillon_domain::preferences::{Kind, PRECEDENCE, is_wanted};
use carillon_domain::{Category, Channel, Preferences};
use serde_json::Value;

use crate::project::read;

/// The cells of the rows that are numbered from 1 on, without their numbers.
fn numbered_rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
        let number: usize = cells.next()?.parse().ok()?;
        Some((number, cells.collect()))
    });
    rows.zip(1..).take_while(|((number, _), next)| number == next).map(|((_, cells), _)| cells).collect()
}

#[test]
fn the_table_of_who_wins_is_that_of_the_domain() {
    let page = read("docs/preferences.md");
    let words: Vec<&str> = numbered_rows(&page).into_iter().map(|cells| cells[0]).collect();
    assert_eq!(words, PRECEDENCE);
}

fn preferences(cell: &str) -> Preferences {
    let read: Preferences = from_value(serde_json::from_str(cell.trim_matches('`')).unwrap()).unwrap();
    assert_eq!(read.faults(), [], "{cell}");
    read
}

/// `marketing by email`, `reminder final by email`.
fn kind(cell: &str) -> Kind<'_> {
    let (what, channel) = cell.split_once(" by ").unwrap();
    let (category, reminder) = what.split_once(' ').map_or((what, None), |(word, kind)| (word, Some(kind)));
    let category: Category = serde_json::from_value(Value::from(category)).unwrap();
    Kind { category, channel: channel.parse::<Channel>().unwrap(), reminder }
}

#[test]
fn every_example_of_who_wins_comes_out_as_it_says() {
    let page = read("docs/preferences.md");
    for cells in numbered_rows(&page) {
        let [words, recipient, tenant, message, outcome] = cells[..] else { panic!("{cells:?}") };
        let wanted = is_wanted(&preferences(recipient), &preferences(tenant), &kind(message));
        assert_eq!(if wanted { "sent" } else { "skipped" }, outcome, "{words}");
    }
}

#[test]
fn a_row_counts_when_it_has_the_next_number() {
    let page = "| | who |\n|---|---|\n| 1 | the one |\n| 2 | the other |\n\n| 1 | of another table |\n";
    assert_eq!(numbered_rows(page), [["the one"], ["the other"]]);
}
