//! What DynamoDB answers only under load, from a stand-in that is told its answers: [`DynamoTable`] asks again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use carillon_pipeline::ports::Check;
use serde_json::{Value, json};

use super::*;

/// The answers that are left, and the requests that came.
type Script = Arc<Mutex<(VecDeque<(u16, Value)>, Vec<Value>)>>;

async fn stand_in(answers: impl IntoIterator<Item = (u16, Value)>) -> (Script, DynamoTable) {
    let script: Script = Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new())));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (script, DynamoTable::new(Client::new(&crate::clients::at_endpoint(&url)), "carillon"))
}

async fn answer(State(script): State<Script>, body: String) -> (StatusCode, String) {
    let mut script = script.lock().unwrap();
    script.1.push(serde_json::from_str(&body).unwrap());
    let (status, answer) = script.0.pop_front().unwrap();
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

fn requests(script: &Script) -> Vec<Value> {
    script.lock().unwrap().1.clone()
}

fn key(sk: &str) -> Key {
    Key::read_back("acme".to_owned(), sk.to_owned())
}

fn create(sk: &str) -> Write {
    Write::Put { key: key(sk), item: Item::new(), only_if: vec![Check::Absent] }
}

fn stored(sk: &str) -> Value {
    json!({ "pk": { "S": "acme" }, "sk": { "S": sk } })
}

fn cancelled(codes: [&str; 2]) -> (u16, Value) {
    let reasons = codes.map(|code| json!({ "Code": code, "Message": "+12025550123" }));
    (400, json!({ "__type": "TransactionCanceledException", "CancellationReasons": reasons }))
}

#[tokio::test]
async fn a_transaction_that_met_another_is_sent_again() {
    let (script, table) = stand_in([cancelled(["None", "TransactionConflict"]), (200, json!({}))]).await;
    table.transact(vec![create("a"), create("b")]).await.unwrap();
    assert_eq!(requests(&script).len(), 2);
}

#[tokio::test]
async fn a_transaction_that_always_meets_another_is_unavailable() {
    let (script, table) = stand_in(vec![cancelled(["ThrottlingError", "None"]); 9]).await;
    let error = table.transact(vec![create("a"), create("b")]).await.unwrap_err();
    assert!(matches!(error, TransactError::Store(StoreError::Unavailable(_))));
    assert_eq!(
        error.to_string(),
        "the table could not be reached: TransactWriteItems was cancelled: ThrottlingError"
    );
    assert_eq!(requests(&script).len(), 6);
}

#[tokio::test]
async fn a_failed_check_counts_before_a_reason_that_passes() {
    let (_, table) = stand_in([cancelled(["TransactionConflict", "ConditionalCheckFailed"])]).await;
    let error = table.transact(vec![create("a"), create("b")]).await.unwrap_err();
    assert!(matches!(error, TransactError::Conflict { at: 1, found: None }), "{error:?}");
}

#[tokio::test]
async fn a_transaction_that_can_never_happen_is_refused() {
    let (_, table) = stand_in([cancelled(["ValidationError", "None"])]).await;
    let error = table.transact(vec![create("a"), create("b")]).await.unwrap_err();
    assert!(matches!(error, TransactError::Store(StoreError::Refused(_))), "{error:?}");
}

#[tokio::test]
async fn a_write_that_met_a_transaction_is_sent_again() {
    let met = (400, json!({ "__type": "TransactionConflictException" }));
    let (script, table) = stand_in([met, (200, json!({}))]).await;
    table.write(create("a")).await.unwrap();
    assert_eq!(requests(&script).len(), 2);
}

#[tokio::test]
async fn keys_that_a_read_left_out_are_asked_for_again() {
    let first = json!({
        "Responses": { "carillon": [stored("b")] },
        "UnprocessedKeys": { "carillon": { "Keys": [stored("a")] } },
    });
    let second = json!({ "Responses": { "carillon": [stored("a")] }, "UnprocessedKeys": {} });
    let (script, table) = stand_in([(200, first), (200, second)]).await;
    let found = table.get_many(&[key("a"), key("b")]).await.unwrap();
    assert_eq!(found, [Some(Item::new()), Some(Item::new())]);
    assert_eq!(requests(&script)[1]["RequestItems"]["carillon"]["Keys"], json!([stored("a")]));
}

#[tokio::test]
async fn keys_that_are_always_left_out_are_unavailable() {
    let nothing = json!({ "Responses": {}, "UnprocessedKeys": { "carillon": { "Keys": [stored("a")] } } });
    let (script, table) = stand_in(vec![(200, nothing); 9]).await;
    assert!(matches!(table.get_many(&[key("a")]).await, Err(StoreError::Unavailable(_))));
    assert_eq!(requests(&script).len(), 6);
}

#[tokio::test]
async fn a_page_that_ended_early_is_filled() {
    let first = json!({ "Items": [stored("a")], "LastEvaluatedKey": stored("a") });
    let second = json!({ "Items": [stored("b")] });
    let (script, table) = stand_in([(200, first), (200, second)]).await;
    let page =
        table.query(&Query::of(carillon_pipeline::ports::Index::Table, "acme".to_owned(), 3)).await.unwrap();
    assert_eq!((page.items.len(), page.next), (2, None));
    let requests = requests(&script);
    assert_eq!((&requests[0]["Limit"], &requests[1]["Limit"]), (&json!(3), &json!(2)));
    assert_eq!(requests[1]["ExclusiveStartKey"], stored("a"));
}
