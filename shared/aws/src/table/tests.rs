//! [`DynamoTable`] against the embedded DynamoDB, over HTTP as in production.

use serde_json::{Value, json};

use super::*;
use carillon_pipeline::ports::{Check, Index};

async fn table() -> DynamoTable {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    let client = Client::new(&crate::clients::at_endpoint(&url));
    ensure_table(&client, "carillon").await.unwrap();
    ensure_table(&client, "carillon").await.unwrap();
    DynamoTable::new(client, "carillon")
}

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

fn set(sk: &str, name: &str, value: Value, only_if: Vec<Check>) -> Write {
    Write::Update { key: key(sk), set: vec![(name.to_owned(), value)], add: vec![], remove: vec![], only_if }
}

fn delete(sk: &str, only_if: Vec<Check>) -> Write {
    Write::Delete { key: key(sk), only_if }
}

/// The item that a write conflicted with.
fn conflict(answer: Result<Item, StoreError>) -> Option<Item> {
    match answer {
        Err(StoreError::Conflict(found)) => found,
        other => panic!("no conflict: {other:?}"),
    }
}

fn sks(page: &Page) -> Vec<&str> {
    page.items.iter().map(|(key, _)| key.sk()).collect()
}

#[tokio::test]
async fn an_item_is_read_as_it_was_put_until_it_is_deleted() {
    let table = table().await;
    let numbers = json!([i64::MIN, u64::MAX, 0, -2.0, 0.1, 1e18, 1e300, 5e-324, 1.5e-99]);
    let stored =
        json!({ "state": "", "attempts": { "1": { "s": 1_795_000_000_000_u64 } }, "data": {}, "n": numbers });
    assert_eq!(table.write(put("d", stored.clone(), vec![])).await.unwrap(), Item::new());
    assert_eq!(table.get(&key("d")).await.unwrap(), Some(item(stored)));
    assert_eq!(table.write(delete("d", vec![Check::Present])).await.unwrap(), Item::new());
    assert_eq!(table.get(&key("d")).await.unwrap(), None);
}

#[tokio::test]
async fn a_check_that_does_not_hold_answers_the_item_that_was_found() {
    let table = table().await;
    let stored = item(json!({ "state": "sent", "owner": "w1", "float": 2.0 }));
    table.write(put("d", Value::Object(stored.clone()), vec![Check::Absent])).await.unwrap();
    let failing = [
        vec![Check::Absent],
        vec![Check::Equals("state", json!("pending"))],
        vec![Check::Present, Check::Missing("owner")],
        vec![Check::OneOf("state", vec![json!("pending"), Value::Null])],
        vec![Check::OneOf("state", vec![])],
        vec![Check::Equals("owner", Value::Null)],
    ];
    for checks in failing {
        assert_eq!(
            conflict(table.write(put("d", json!({}), checks.clone())).await),
            Some(stored.clone()),
            "{checks:?}"
        );
        assert_eq!(
            conflict(table.write(set("d", "a", json!(1), checks.clone())).await),
            Some(stored.clone())
        );
        assert_eq!(conflict(table.write(delete("d", checks)).await), Some(stored.clone()));
    }
    assert_eq!(conflict(table.write(delete("other", vec![Check::Present])).await), None);
    assert_eq!(table.get(&key("d")).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn checks_that_hold_let_a_write_happen() {
    let table = table().await;
    table.write(set("d", "float", json!(2.0), vec![Check::Absent, Check::Missing("owner")])).await.unwrap();
    let holding = [
        vec![Check::Present, Check::Equals("float", json!(2.0))],
        vec![Check::OneOf("float", vec![json!(1), json!(2.0)]), Check::Equals("owner", Value::Null)],
        vec![Check::OneOf("owner", vec![json!("w1"), Value::Null])],
    ];
    for checks in holding {
        table.write(set("d", "a", json!(1), checks)).await.unwrap();
    }
}

#[tokio::test]
async fn an_update_sets_adds_and_removes_and_answers_the_new_item() {
    let table = table().await;
    let write = |by: i64| Write::Update {
        key: key("c"),
        set: vec![("state".to_owned(), json!(["x"])), ("gone".to_owned(), Value::Null)],
        add: vec![("calls".to_owned(), by)],
        remove: vec!["owner".to_owned()],
        only_if: vec![],
    };
    assert_eq!(table.write(write(2)).await.unwrap(), item(json!({ "state": ["x"], "calls": 2 })));
    table
        .write(put("c", json!({ "calls": 2, "gone": 1, "owner": "w1", "kept": null }), vec![]))
        .await
        .unwrap();
    let after = item(json!({ "state": ["x"], "calls": -1 }));
    assert_eq!(table.write(write(-3)).await.unwrap(), after);
    assert_eq!(table.get(&key("c")).await.unwrap(), Some(after));
}

#[tokio::test]
async fn one_of_many_that_create_the_same_item_wins() {
    let table = table().await;
    let race = (0..64).map(|n| {
        let table = table.clone();
        tokio::spawn(
            async move { table.write(put("lease", json!({ "owner": n }), vec![Check::Absent])).await },
        )
    });
    let answers = futures_util::future::join_all(race.collect::<Vec<_>>()).await;
    let won: Vec<usize> = (0..64).filter(|&n| matches!(answers[n], Ok(Ok(_)))).collect();
    let stored = item(json!({ "owner": won[0] }));
    assert_eq!(won.len(), 1);
    for (_, lost) in answers.into_iter().enumerate().filter(|(n, _)| *n != won[0]) {
        assert_eq!(conflict(lost.unwrap()), Some(stored.clone()));
    }
}

#[tokio::test]
async fn writes_side_by_side_are_answered_in_their_order() {
    let table = table().await;
    table.write(put("007", json!({}), vec![])).await.unwrap();
    let writes = (0..60).map(|n| put(&format!("{n:03}"), json!({ "n": n }), vec![Check::Absent])).collect();
    let answers = table.write_each(writes).await;
    let failed: Vec<usize> =
        (0..60).filter(|&n| matches!(answers[n], Err(StoreError::Conflict(Some(_))))).collect();
    assert_eq!((answers.len(), failed), (60, vec![7]));
}

#[tokio::test]
async fn many_keys_are_answered_in_their_order_with_doubles_and_gaps() {
    let table = table().await;
    let writes = (0..150).map(|n| put(&n.to_string(), json!({ "n": n }), vec![])).collect();
    assert!(table.write_each(writes).await.iter().all(Result::is_ok));
    let asked: Vec<usize> = (0..300).rev().chain([5, 5, 299]).collect();
    let keys: Vec<Key> = asked.iter().map(|n| key(&n.to_string())).collect();
    let found = table.get_many(&keys).await.unwrap();
    let expected: Vec<_> = asked.iter().map(|n| (*n < 150).then(|| item(json!({ "n": n })))).collect();
    assert_eq!(found, expected);
    assert_eq!(table.get_many(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_transaction_happens_whole_or_names_the_first_write_that_could_not() {
    let table = table().await;
    table.transact(vec![]).await.unwrap();
    table
        .transact(vec![put("a", json!({ "n": 1 }), vec![Check::Absent]), set("b", "n", json!(2), vec![])])
        .await
        .unwrap();
    let held = vec![delete("a", vec![Check::Present]), put("c", json!({}), vec![])];
    let failing = [set("b", "n", json!(3), vec![Check::Absent]), delete("d", vec![Check::Present])];
    match table.transact(held.into_iter().chain(failing).collect()).await {
        Err(TransactError::Conflict { at: 2, found }) => assert_eq!(found, Some(item(json!({ "n": 2 })))),
        other => panic!("{other:?}"),
    }
    match table.transact(vec![put("c", json!({}), vec![]), delete("d", vec![Check::Present])]).await {
        Err(TransactError::Conflict { at: 1, found: None }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(table.get(&key("a")).await.unwrap(), Some(item(json!({ "n": 1 }))));
    assert_eq!(table.get(&key("c")).await.unwrap(), None);
    table.transact(vec![delete("a", vec![]), delete("b", vec![Check::Equals("n", json!(2))])]).await.unwrap();
    assert_eq!(table.get_many(&[key("a"), key("b")]).await.unwrap(), [None, None]);
}

#[tokio::test]
async fn a_query_keeps_to_its_range_and_order() {
    let table = table().await;
    let writes = (0..10).map(|n| put(&n.to_string(), json!({ "n": n }), vec![])).collect();
    assert!(table.write_each(writes).await.iter().all(Result::is_ok));
    let ask = |from: Option<&str>, to: Option<&str>, descending| {
        let mut query = Query::of(Index::Table, "acme".to_owned(), 100);
        query.from = from.map(str::to_owned);
        query.to = to.map(str::to_owned);
        query.descending = descending;
        query
    };
    let cases = [
        (ask(Some("7"), None, false), vec!["7", "8", "9"]),
        (ask(None, Some("1"), true), vec!["1", "0"]),
        (ask(Some("3"), Some("5"), true), vec!["5", "4", "3"]),
        (ask(Some("5"), Some("3"), false), vec![]),
        (ask(Some(""), Some("0"), false), vec!["0"]),
        (ask(None, Some(""), false), vec![]),
        (Query::of(Index::Table, "acme".to_owned(), 0), vec![]),
        (Query::of(Index::Table, "globex".to_owned(), 9), vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(sks(&table.query(&query).await.unwrap()), expected, "{query:?}");
    }
    let page = table.query(&ask(Some("4"), Some("4"), false)).await.unwrap();
    assert_eq!((page.items, page.next), (vec![(key("4"), item(json!({ "n": 4 })))], None));
}

#[tokio::test]
async fn pages_of_the_table_and_of_an_index_hold_every_item_once() {
    let table = table().await;
    // Two items share an index sort key, so that a cursor of that alone would skip or repeat one.
    let writes = (0..7).map(|n| {
        let parent_sk = (n / 2).to_string();
        put(&n.to_string(), json!({ "parent_pk": "acme#ev", "parent_sk": parent_sk, "data": "x" }), vec![])
    });
    assert!(table.write_each(writes.collect()).await.iter().all(Result::is_ok));
    table.write(put("unlisted", json!({ "data": "x" }), vec![])).await.unwrap();
    for (index, partition, descending) in [
        (Index::Table, "acme", false),
        (Index::Table, "acme", true),
        (Index::ByParent, "acme#ev", false),
        (Index::ByParent, "acme#ev", true),
    ] {
        let mut query = Query::of(index, partition.to_owned(), 3);
        query.descending = descending;
        let mut seen = Vec::new();
        loop {
            let page = table.query(&query).await.unwrap();
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let mut order: Vec<&str> = seen.iter().map(|(key, _)| key.sk()).collect();
        let sorted_by_index = seen.is_sorted_by_key(|(_, item)| item.get("parent_sk").map(Value::to_string));
        assert!(descending || sorted_by_index || index == Index::Table);
        order.sort_unstable();
        let listed = if index == Index::Table { 8 } else { 7 };
        assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "unlisted"][..listed]);
        assert!(
            index == Index::Table || seen.iter().all(|(_, item)| !item.contains_key("data")),
            "keys only"
        );
    }
}

#[tokio::test]
async fn a_cursor_that_no_page_named_is_refused_or_stays_in_its_partition() {
    let table = table().await;
    let other = Key::read_back("globex".to_owned(), "1".to_owned());
    let stored = item(json!({ "parent_pk": "globex#ev", "parent_sk": "5" }));
    table.write(Write::Put { key: other, item: stored, only_if: vec![] }).await.unwrap();
    let ask = |after: &str| {
        let mut query = Query::of(Index::ByParent, "acme#ev".to_owned(), 10);
        query.after = Some(after.to_owned());
        query
    };
    assert!(matches!(table.query(&ask("nonsense")).await, Err(StoreError::BadCursor)));
    let page = table.query(&ask(r#"["globex","0","0"]"#)).await.unwrap();
    assert_eq!(sks(&page), Vec::<&str>::new());
}

#[tokio::test]
async fn a_fault_of_ours_is_refused_and_a_table_that_is_not_there_unavailable() {
    let table = table().await;
    let error = table.write(put("", json!({ "name": "Ada" }), vec![])).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(text) if !text.contains("Ada")), "{error}");
    let client = Client::new(&crate::clients::at_endpoint("http://127.0.0.1:1"));
    let error = DynamoTable::new(client, "carillon").get(&key("d")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(_)), "{error}");
}
