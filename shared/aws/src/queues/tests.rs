//! [`SqsQueues`] against a stand-in that speaks SQS's JSON protocol and refuses what a test tells it to.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use serde_json::{Value, json};

use super::*;

/// What the stand-in answers for an entry, by its body and how often that body has come.
type Rule = fn(&str, usize) -> Option<Value>;

#[derive(Clone)]
struct StandIn {
    rule: Rule,
    calls: Arc<Mutex<Vec<Vec<String>>>>,
}

impl StandIn {
    async fn start(rule: Rule) -> (Self, SqsQueues) {
        let stand_in = Self { rule, calls: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = Client::new(&crate::clients::at_endpoint(&url));
        let queues =
            SqsQueues::new(client, BTreeMap::from([(Queue::Email, format!("{url}/000000000000/email"))]));
        (stand_in, queues)
    }

    /// The bodies of each call, in the order of their batches.
    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

async fn answer(State(stand_in): State<StandIn>, body: String) -> String {
    let request: Value = serde_json::from_str(&body).unwrap();
    let (mut successful, mut failed, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    let mut calls = stand_in.calls.lock().unwrap();
    for entry in request["Entries"].as_array().unwrap() {
        assert_eq!(entry["MessageGroupId"], "acme:normal");
        let (id, body) = (&entry["Id"], entry["MessageBody"].as_str().unwrap().to_owned());
        match (stand_in.rule)(&body, calls.iter().flatten().filter(|b| **b == body).count()) {
            None => successful.push(json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "0" })),
            Some(Value::Object(mut refusal)) => {
                refusal.insert("Id".to_owned(), id.clone());
                failed.push(refusal);
            }
            Some(other) => panic!("{other} is no refusal"),
        }
        bodies.push(body);
    }
    calls.push(bodies);
    json!({ "Successful": successful, "Failed": failed }).to_string()
}

fn busy() -> Value {
    json!({ "Code": "ServiceUnavailable", "SenderFault": false, "Message": "body of 3" })
}

fn messages(range: std::ops::Range<usize>) -> Vec<Message> {
    range.map(|n| Message { body: n.to_string(), group: "acme:normal".to_owned(), delay_s: 0 }).collect()
}

#[tokio::test]
async fn every_message_is_sent_once_in_batches_of_ten() {
    let (stand_in, queues) = StandIn::start(|_, _| None).await;
    queues.send(Queue::Email, messages(0..25)).await.unwrap();
    let calls = stand_in.calls();
    let mut bodies: Vec<usize> = calls.iter().flatten().map(|body| body.parse().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!((calls.len(), bodies), (3, (0..25).collect()));
}

#[tokio::test]
async fn only_the_entries_that_sqs_could_not_take_are_sent_again() {
    let (stand_in, queues) = StandIn::start(|body, before| (body == "3" && before < 2).then(busy)).await;
    queues.send(Queue::Email, messages(0..5)).await.unwrap();
    assert_eq!(stand_in.calls()[1..], [["3"], ["3"]]);
}

#[tokio::test]
async fn a_message_that_is_never_taken_is_an_error_after_three_resends() {
    let (stand_in, queues) = StandIn::start(|body, _| (body == "3").then(busy)).await;
    let error = queues.send(Queue::Email, messages(0..5)).await.unwrap_err();
    assert_eq!(stand_in.calls().len(), 4);
    assert_eq!(error.reason, "ServiceUnavailable after 3 resends");
}

#[tokio::test]
async fn our_own_fault_is_not_sent_again_and_does_not_stop_its_neighbours() {
    let rule: Rule = |body, before| match body {
        "1" => Some(json!({ "Code": "InvalidMessageContents", "SenderFault": true })),
        "2" if before == 0 => Some(busy()),
        _ => None,
    };
    let (stand_in, queues) = StandIn::start(rule).await;
    let error = queues.send(Queue::Email, messages(0..4)).await.unwrap_err();
    assert_eq!(error.reason, "InvalidMessageContents");
    assert_eq!(stand_in.calls()[1..], [["2"]]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is_sent() {
    let (stand_in, queues) = StandIn::start(|_, _| None).await;
    let large =
        Message { body: "x".repeat(Message::MAX_BYTES + 1), group: "acme:normal".to_owned(), delay_s: 0 };
    let with_large: Vec<Message> = messages(0..1).into_iter().chain([large]).collect();
    assert!(queues.send(Queue::Email, with_large).await.is_err());
    assert!(queues.send(Queue::Events, messages(0..1)).await.is_err(), "it has no URL");
    assert!(queues.send(Queue::Email, Vec::new()).await.is_ok(), "there is nothing to send");
    assert_eq!(stand_in.calls().len(), 0);
}
