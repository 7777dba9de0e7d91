//! What a random history seldom meets: faults of the caller, and corners of what is allowed.

use carillon_local::model::ModelTable;
use carillon_pipeline::ports::{Check, Index, Item, Key, Query, Table, Write};
use serde_json::{Value, json};

use super::history::Act;
use super::{adapter, engine, play};

fn key(sk: &str) -> Key {
    Key::read_back("acme".to_owned(), sk.to_owned())
}

fn item(value: Value) -> Item {
    let Value::Object(item) = value else { panic!("an item is an object") };
    item
}

fn put(sk: &str, value: Value, only_if: Vec<Check>) -> Write {
    Write::Put { key: key(sk), item: item(value), only_if }
}

fn update(sk: &str, set: &[(&str, Value)], add: &[(&str, i64)], remove: &[&str]) -> Write {
    Write::Update {
        key: key(sk),
        set: set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        add: add.iter().map(|(name, by)| ((*name).to_owned(), *by)).collect(),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
        only_if: vec![],
    }
}

fn ask(index: Index, from: Option<&str>, to: Option<&str>, after: Option<&str>, limit: usize) -> Act {
    let mut query = Query::of(index, "acme".to_owned(), limit);
    query.from = from.map(str::to_owned);
    query.to = to.map(str::to_owned);
    query.after = after.map(str::to_owned);
    Act::Query(query)
}

/// What can never be done, with an item `d` whose `n` is 1, `text` is "x" and `float` 2.0.
fn refused() -> Vec<Act> {
    let nested = |levels: usize| (1..levels).fold(json!([]), |value, _| json!([value]));
    let text_grows = || update("d", &[], &[("text", 1)], &[]);
    vec![
        Act::Get(key("")),
        Act::Write(put("", json!({}), vec![])),
        Act::Write(put("large", json!({ "blob": "x".repeat(400 * 1_024) }), vec![])),
        Act::Write(put("deep", json!({ "deep": nested(33) }), vec![])),
        Act::Write(put("nameless", json!({ "data": { "": 1 } }), vec![])),
        Act::Write(put("d", json!({ "parent_pk": 1 }), vec![Check::Absent])),
        Act::Write(put("d", json!({ "parent_pk": "" }), vec![])),
        Act::Write(update("d", &[("n", json!(1))], &[], &["n"])),
        Act::Write(update("d", &[("n", Value::Null)], &[("n", 1)], &[])),
        Act::Write(update("d", &[("pk", json!("x"))], &[], &[])),
        Act::Write(update("d", &[("day_sk", json!(3))], &[], &[])),
        Act::Write(update("d", &[("nameless", json!([{ "": 1 }]))], &[], &[])),
        Act::Write(text_grows()),
        Act::Write(update("d", &[], &[("float", 1)], &[])),
        Act::Transact((0..101).map(|n| put(&n.to_string(), json!({}), vec![])).collect()),
        Act::Transact(vec![put("a", json!({}), vec![]), update("a", &[], &[("n", 1)], &[])]),
        Act::Transact(vec![put("a", json!({}), vec![]), update("b", &[], &[], &[])]),
        Act::Transact(vec![put("a", json!({}), vec![]), text_grows()]),
        ask(Index::Table, None, None, Some(""), 9),
        ask(Index::Table, Some("k"), None, Some("d"), 9),
        ask(Index::ByDay, None, None, Some(r#"["","1","1"]"#), 9),
        ask(Index::ByDay, None, Some("1"), Some(r#"["globex","1","2"]"#), 9),
    ]
}

/// What can be done and seldom is.
fn rare() -> Vec<Act> {
    let nested = (1..31).fold(json!([1]), |value, _| json!([value]));
    let text_grows = update("d", &[], &[("text", 1)], &[]);
    vec![
        Act::GetMany(vec![]),
        Act::GetMany(vec![key("d"), key("none"), key("d")]),
        Act::Write(put("deep", json!({ "deep": nested }), vec![])),
        Act::Write(put("k", json!({ "pk": "elsewhere", "sk": 1, "kept": [null] }), vec![])),
        Act::Get(key("k")),
        Act::Write(update("e", &[], &[], &[])),
        Act::Write(update("f", &[("gone", Value::Null)], &[], &["other"])),
        Act::Write(update("d", &[], &[("n", i64::MAX), ("new", i64::MIN)], &[])),
        Act::Transact(vec![]),
        Act::Transact((0..100).map(|n| put(&n.to_string(), json!({}), vec![])).collect()),
        Act::Transact(vec![text_grows, put("none", json!({}), vec![Check::Present])]),
        ask(Index::Table, Some("e"), Some("d"), None, 9),
        ask(Index::Table, None, Some(""), Some("x"), 9),
        ask(Index::Table, Some(""), None, None, 9),
        ask(Index::Table, None, None, None, 0),
        ask(Index::Table, None, None, Some("dd"), 9),
        ask(Index::ByDay, None, None, Some(r#"["globex","1","2"]"#), 9),
        ask(Index::ByDay, None, None, Some("nonsense"), 0),
        ask(Index::ByDay, None, None, Some("nonsense"), 9),
        Act::Query(Query::of(Index::Table, String::new(), 9)),
    ]
}

#[tokio::test]
async fn what_is_refused_or_rare_has_the_same_answers() {
    let (model, dynamo) = (ModelTable::new(), adapter(&engine().await, "edges").await);
    let stored = put("d", json!({ "n": 1, "text": "x", "float": 2.0 }), vec![]);
    assert_eq!(model.write(stored.clone()).await.unwrap(), dynamo.write(stored).await.unwrap());
    for (refusals, acts) in [(true, refused()), (false, rare())] {
        for act in acts {
            let (modelled, real) = (play(&model, &act).await, play(&dynamo, &act).await);
            assert_eq!(modelled, real, "{act:?}");
            // A cursor that no page answered is the caller's fault, and told as such.
            let turned_down = modelled.is_refusal() || (refusals && modelled.is_bad_cursor());
            assert_eq!(turned_down, refusals, "{act:?}: {modelled:?}");
        }
    }
}
