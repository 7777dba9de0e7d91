//! ARCHITECTURE.md draws the life of a delivery; `carillon_domain::state` is the truth of it.

use std::collections::BTreeSet;

use carillon_domain::StateKind;
use carillon_domain::state::{FORCED_REVIVALS, MOVES, REVIVALS};

use crate::project::read;

/// What an edge says that only an operator can take.
const OPERATOR: &str = "operator";

/// From, to, and what is written at the edge.
type Edge = (String, String, Option<String>);

/// The chart as it has to be, to be pasted into ARCHITECTURE.md.
fn chart() -> String {
    let moves = MOVES.iter().flat_map(|(from, to)| to.iter().map(move |to| format!("    {from} --> {to}\n")));
    let revivals = REVIVALS
        .iter()
        .chain(FORCED_REVIVALS)
        .map(|from| format!("    {from} --> {} : {OPERATOR}\n", StateKind::Pending));
    let edges: String = moves.chain(revivals).collect();
    format!("```mermaid\nstateDiagram-v2\n    [*] --> {}\n{edges}```\n", StateKind::Pending)
}

/// The edges of the first state diagram in a page.
fn edges(page: &str) -> Option<Vec<Edge>> {
    let block =
        page.split("```mermaid\n").skip(1).find(|block| block.trim_start().starts_with("stateDiagram-v2"))?;
    let lines = block.split("```").next()?.lines();
    let edge = |line: &str| {
        let (from, rest) = line.split_once("-->")?;
        let (to, label) =
            rest.split_once(':').map_or((rest, None), |(to, label)| (to, Some(label.trim().to_owned())));
        Some((from.trim().to_owned(), to.trim().to_owned(), label))
    };
    Some(lines.filter_map(edge).collect())
}

/// The edges that a delivery takes by itself, those that an operator takes it along, and where it begins.
fn sorted(edges: Vec<Edge>) -> [BTreeSet<(String, String)>; 3] {
    let mut kinds = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for (from, to, label) in edges {
        let kind = match label.as_deref() {
            _ if from == "[*]" => 2,
            Some(OPERATOR) => 1,
            _ => 0,
        };
        assert!(kinds[kind].insert((from.clone(), to.clone())), "{from} --> {to} is drawn twice");
    }
    kinds
}

#[test]
fn the_chart_in_the_architecture_shows_the_moves_and_no_others() {
    let drawn = edges(&read("ARCHITECTURE.md"));
    let drawn = sorted(
        drawn.unwrap_or_else(|| panic!("ARCHITECTURE.md has no state diagram; it should be\n{}", chart())),
    );
    let expected = sorted(edges(&chart()).unwrap());
    for (drawn, expected) in drawn[..2].iter().zip(&expected[..2]) {
        let missing: Vec<_> = expected.difference(drawn).collect();
        let wrong: Vec<_> = drawn.difference(expected).collect();
        assert!(
            missing.is_empty() && wrong.is_empty(),
            "missing {missing:?}, wrong {wrong:?}; it should be\n{}",
            chart()
        );
    }
    let begins: Vec<&str> = drawn[2].iter().map(|(_, to)| to.as_str()).collect();
    assert!(begins.contains(&"pending"), "a delivery begins as pending");
    assert!(begins.iter().all(|state| state.parse::<StateKind>().is_ok()), "{begins:?}");
}

#[test]
fn an_edge_is_read_with_its_label() {
    let page =
        "# A\n```mermaid\nstateDiagram-v2\n    [*] --> pending\n    a --> b : operator\n```\n c --> d\n";
    let read = edges(page).unwrap();
    assert_eq!(read[0], ("[*]".to_owned(), "pending".to_owned(), None));
    assert_eq!(read[1], ("a".to_owned(), "b".to_owned(), Some("operator".to_owned())));
    assert_eq!(read.len(), 2);
    assert_eq!(edges("```mermaid\nflowchart LR\n a --> b\n```"), None);
}
