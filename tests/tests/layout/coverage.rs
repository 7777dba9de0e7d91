//! docs/coverage.md: every item of the source systems has its row, and the tests that a row names are there and name the
//! item in their own documentation.

use std::collections::{BTreeMap, BTreeSet};

use crate::none_of;
use crate::project::{read, root};

/// How many items each source system has, by its letter.
const ITEMS: &[(char, u32)] = &[('H', 57), ('I', 30), ('R', 38), ('E', 29)];

/// What says, in place of a test, that something is not built yet.
const OPEN: &str = "open: ";

/// An item, such as H21.
type Item = (char, u32);

/// A row of the table.
#[derive(Debug)]
struct Row<'a> {
    /// What it is about; the first column.
    items: BTreeSet<Item>,
    /// The tests that show it, and nothing when it is open.
    tests: Vec<(&'a str, &'a str)>,
    /// The last column.
    shown: &'a str,
}

/// `H21`; what stands behind the digits is a part of the item, as in H57a.
fn item(word: &str) -> Option<Item> {
    let mut letters = word.chars();
    let letter = letters.next().filter(|letter| ITEMS.iter().any(|(known, _)| known == letter))?;
    let digits: String = letters.take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(|number| (letter, number))
}

/// Every item that a text names; `H14-H19` names six.
fn items(text: &str) -> BTreeSet<Item> {
    let mut found = BTreeSet::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        if let (Some((letter, first)), Some((_, last))) = (item(first), item(last)) {
            found.extend((first..=last).map(|number| (letter, number)));
        }
    }
    found
}

/// The rows of three columns of which the first begins with an item.
fn rows(page: &str) -> Vec<Row<'_>> {
    page.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [named, _, shown] = cells[..] else { return None };
    item(named)?;
    let quoted = shown.split('`').skip(1).step_by(2);
    Some(Row { items: items(named), tests: quoted.filter_map(|text| text.split_once("::")).collect(), shown })
}

/// The documentation of a function; none when the file has no such function.
fn documentation(source: &str, function: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let named = format!("fn {function}(");
    let at = lines
        .iter()
        .position(|line| line.find(&named).is_some_and(|at| ["", "async "].contains(&&line[..at])))?;
    let above = lines[..at].iter().rev();
    let belonging = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut words: Vec<&str> = belonging.filter_map(|line| line.strip_prefix("///")).collect();
    words.reverse();
    Some(words.join("\n"))
}

#[test]
fn every_item_has_one_row() {
    let page = read("docs/coverage.md");
    let mut seen = BTreeMap::<Item, usize>::new();
    for found in rows(&page).iter().flat_map(|row| &row.items) {
        *seen.entry(*found).or_default() += 1;
    }
    let mut faults = Vec::new();
    for (letter, count) in ITEMS {
        for number in 1..=*count {
            match seen.remove(&(*letter, number)) {
                Some(1) => {}
                Some(rows) => faults.push(format!("{letter}{number} has {rows} rows")),
                None => faults.push(format!("{letter}{number} has no row")),
            }
        }
    }
    faults.extend(seen.keys().map(|(letter, number)| format!("there is no item {letter}{number}")));
    none_of(&faults);
}

#[test]
fn every_row_names_tests_that_name_its_items() {
    let page = read("docs/coverage.md");
    let mut faults = Vec::new();
    for row in rows(&page) {
        let mut named = BTreeSet::new();
        for (path, function) in &row.tests {
            let source = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            match documentation(&source, function) {
                None => faults.push(format!("{path} has no test {function}")),
                Some(words) => {
                    let here: BTreeSet<Item> = items(&words).intersection(&row.items).copied().collect();
                    if here.is_empty() {
                        faults.push(format!("{path}::{function} does not name {:?}", row.items));
                    }
                    named.extend(here);
                }
            }
        }
        let is_open = row.shown.contains(OPEN);
        if row.tests.is_empty() && !is_open {
            faults.push(format!("{:?} has neither a test nor `{OPEN}`", row.items));
        }
        if !row.tests.is_empty() && named != row.items {
            let missing: Vec<&Item> = row.items.difference(&named).collect();
            faults.push(format!("no test of its row names {missing:?}"));
        }
    }
    none_of(&faults);
}

#[test]
fn a_range_names_each_item_and_a_test_is_found_with_its_documentation() {
    assert_eq!(
        items("H14-H16, H57a (and I3)"),
        [('H', 14), ('H', 15), ('H', 16), ('H', 57), ('I', 3)].into()
    );
    assert_eq!(items("SES, X2, Hello"), BTreeSet::new());
    let source = "/// H1: why\n/// it is so.\n#[test]\nasync fn one() {}\n\nfn two() {}\n";
    assert_eq!(documentation(source, "one").as_deref(), Some(" H1: why\n it is so."));
    assert_eq!(documentation(source, "two").as_deref(), Some(""));
    assert_eq!(documentation(source, "three"), None);
}
