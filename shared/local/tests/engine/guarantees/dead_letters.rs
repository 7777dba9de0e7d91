//! A message that dies, whenever its delivery stands: it ends visibly or goes on by itself, whatever comes twice, and a
//! redrive neither doubles a message nor sends what is not wanted any more.

use std::time::Duration;

use carillon_domain::{KeyKind, Preferences, Principal, Scope};
use carillon_pipeline::dead_letter::DeadMessage;
use carillon_pipeline::jobs::Worked;
use carillon_pipeline::ports::{Message, Queue};
use carillon_pipeline::{DeliveryWork, WorkError};
use serde_json::{Value, json};

use crate::guarantees::world::{Script, World};

/// An order that is planned, and its message.
async fn planned(answer: Script) -> (World, Message) {
    let world = World::new(answer).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    let message = world.queues.take(Queue::Whatsapp).remove(0);
    (world, message)
}

async fn die(world: &World, message: &Message) -> Result<(), WorkError> {
    let dead = DeadMessage {
        queue: Queue::Whatsapp,
        message_id: "m-1".to_owned(),
        body: message.body.clone(),
        receive_count: 20,
        undelivered: false,
        tenant: None,
    };
    world.pipeline.record_dead_letter(&dead).await.map(drop)
}

async fn redrive(world: &World) -> (u64, u64) {
    let operator = Principal {
        tenant: world.tenant.clone(),
        key_id: "operator".to_owned(),
        key_kind: KeyKind::Live,
        scopes: vec![Scope::Manage],
    };
    match world.pipeline.redrive(&operator, json!({"filter": {}})).await.unwrap() {
        Worked::AtOnce(result) => (result["matched"].as_u64().unwrap(), result["redriven"].as_u64().unwrap()),
        Worked::AsJob(_) => panic!("one dead letter is no long work"),
    }
}

#[tokio::test]
async fn a_pending_delivery_ends_once_and_a_redrive_is_recorded_and_sends_it_once() {
    let (world, message) = planned(Script::Accept).await;
    for _ in 0..3 {
        die(&world, &message).await.unwrap();
    }
    assert_eq!((world.state().as_str(), world.delivery().rev), ("failed(attempts_exhausted)", 2));
    assert_eq!(world.items("DEAD_LETTER"), 1);
    assert_eq!(redrive(&world).await, (1, 1));
    assert_eq!(redrive(&world).await, (0, 0));
    // The dead message comes once more, because its queue did not hear that it was recorded.
    die(&world, &message).await.unwrap();
    assert_eq!((world.state().as_str(), world.items("PAYLOAD")), ("pending", 0));
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 1));
    let revived = world.delivery().revived.unwrap();
    let recorded = (revived.by.as_str(), revived.from.as_str(), revived.nth);
    assert_eq!(recorded, ("operator", "failed(attempts_exhausted)", 1));
}

#[tokio::test]
async fn a_redriven_message_that_is_lost_is_queued_again_by_the_sweep() {
    let (world, message) = planned(Script::Accept).await;
    die(&world, &message).await.unwrap();
    redrive(&world).await;
    assert_eq!(world.queues.take(Queue::Whatsapp).len(), 1, "lost");
    world.later(901).await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 1));
}

#[tokio::test]
async fn a_delivery_that_was_being_sent_is_in_doubt_when_its_lease_is_over() {
    let (world, message) = planned(Script::NeverReturn).await;
    let work: DeliveryWork = serde_json::from_str(&message.body).unwrap();
    let batch = [work];
    let killed =
        tokio::time::timeout(Duration::from_millis(50), world.pipeline.deliver(&world.provider, &batch));
    assert!(killed.await.is_err(), "killed in the middle of its call");
    let early = die(&world, &message).await;
    assert!(matches!(early, Err(WorkError::Leased(_))), "{early:?}");
    world.later(31).await;
    die(&world, &message).await.unwrap();
    assert_eq!(world.state(), "in_doubt");
    world.provider.now(Script::Accept);
    world.later(121).await;
    assert_eq!((world.state().as_str(), world.calls(), world.delivery().resends), ("sent", 2, 1));
    assert_eq!(redrive(&world).await, (1, 1), "it has gone on without the message");
    world.deliver().await;
    assert_eq!(world.calls(), 2);
}

#[tokio::test]
async fn what_is_not_wanted_any_more_or_too_late_is_not_redriven() {
    let (world, message) = planned(Script::Accept).await;
    die(&world, &message).await.unwrap();
    let no: Preferences = serde_json::from_value(json!({"channels": {"whatsapp": false}})).unwrap();
    let yes = Preferences::default();
    let ada = "ada".parse().unwrap();
    assert!(world.pipeline.put_preferences(&world.tenant, &ada, &no).await.unwrap());
    assert_eq!(redrive(&world).await, (1, 0));
    assert!(world.pipeline.put_preferences(&world.tenant, &ada, &yes).await.unwrap());
    world.later(73 * 3_600).await;
    assert_eq!(redrive(&world).await, (1, 0));
    assert_eq!((world.state().as_str(), world.calls()), ("failed(attempts_exhausted)", 0));
    // After 14 days nothing is left of it.
    world.later(14 * 86_400).await;
    assert_eq!(redrive(&world).await, (0, 0));
}

#[tokio::test]
async fn neither_words_nor_address_of_a_delivery_lie_in_its_dead_letter() {
    let (world, message) = planned(Script::Accept).await;
    assert!(message.body.contains("+12025550117"));
    die(&world, &message).await.unwrap();
    let items = world.table.items();
    let kept: Vec<Value> =
        items.into_iter().filter(|(key, _)| key.pk().contains("#X#")).map(|(_, item)| item.into()).collect();
    assert_eq!(kept.len(), 2);
    assert!(!kept.iter().any(|item| item.to_string().contains("+12025550117")), "{kept:?}");
    assert!(kept.iter().all(|item| item["expires_s"].is_i64()), "{kept:?}");
}
