//! The sweep, whatever stands in its way: items that fail each time, retries that are asked for too often, a fan-out that
//! was held up.

use carillon_domain::{Channel, EventId};
use carillon_pipeline::EventWork;
use carillon_pipeline::ports::{Item, Key, Queue, Table, Write};
use serde_json::{Value, json};

use crate::guarantees::world::{Script, World};

/// More than one page of due work, and more than two.
const BROKEN: u8 = 250;

/// The partition of due work that Ada's delivery waits in.
fn shard_of_ada(world: &World) -> Value {
    let items = world.table.items();
    let (_, item) = items.iter().find(|(key, _)| key.sk().starts_with("D#")).unwrap();
    item["attention_pk"].clone()
}

/// A delivery of somebody else's that nobody can read, due long ago.
async fn put_broken(world: &World, shard: &Value, number: u8) {
    let event = EventId::from_random([number; 16]);
    let sort = format!("1790000000{number:03}#other#aaaaaaaaaaaaaaaa-{event}-w");
    let item = Item::from_iter([
        ("attention_pk".to_owned(), shard.clone()),
        ("attention_sk".to_owned(), json!(sort)),
        ("state".to_owned(), json!("no state")),
    ]);
    let key = Key::read_back("T#other#R#aaaaaaaaaaaaaaaa".to_owned(), format!("D#{event}#w"));
    world.table.write(Write::Put { key, item, only_if: Vec::new() }).await.unwrap();
}

#[tokio::test]
async fn items_that_fail_each_time_keep_nobody_elses_from_the_sweep() {
    let world = World::new(Script::AskToWait(60)).await;
    world.sent_once().await;
    assert_eq!(world.state(), "retrying");
    let shard = shard_of_ada(&world);
    for number in 0..BROKEN {
        put_broken(&world, &shard, number).await;
    }
    world.provider.now(Script::Accept);
    world.later(61).await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 2));
    let broken = world.table.items().keys().filter(|key| key.pk().starts_with("T#other#R#")).count();
    assert_eq!(broken, usize::from(BROKEN), "left for the next run");
}

#[tokio::test]
async fn a_throttle_backs_off_whatever_the_tenants_schedule_says() {
    let world = World::new(Script::AskToWait(0)).await;
    let eager = json!({"tries": 10, "base_ms": 100, "factor": 1, "cap_ms": 100});
    world.pipeline.configure_settings(&world.tenant, json!({"retry": {"whatsapp": eager}})).await.unwrap();
    world.sent_once().await;
    assert_eq!((world.state().as_str(), world.calls()), ("retrying", 4));
    assert_eq!(world.delivery().tries, 0, "a throttle costs no try");
    world.later(59).await;
    assert_eq!(world.calls(), 4);
    for calls in 5..10 {
        world.later(61).await;
        assert_eq!(world.calls(), calls, "one a minute from here on");
    }
    world.later(73 * 3_600).await;
    assert_eq!(world.state(), "expired(past_expiry)");
}

#[tokio::test]
async fn what_a_fan_out_wrote_that_was_held_up_is_sent_a_quarter_of_an_hour_later() {
    let route =
        |channels: Value| json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": channels});
    let world = World::routed(Script::Accept, route(json!(["whatsapp"]))).await;
    world.accept().await;
    let message = world.queues.take(Queue::Events).remove(0);
    let work: EventWork = serde_json::from_str(&message.body).unwrap();
    // The first run writes a delivery for WhatsApp, and is held up before it queues it.
    world.queues.refusing.lock().unwrap().push(Queue::Whatsapp);
    assert!(world.pipeline.fan_out(&work).await.is_err());
    world.queues.refusing.lock().unwrap().clear();
    let of_first = |(key, _): &(Key, Item)| key.sk().starts_with("D#");
    let (key, item) = world.table.items().into_iter().find(of_first).unwrap();
    // The second plans the event by email, before the write of the first is made.
    world.table.write(Write::Delete { key: key.clone(), only_if: Vec::new() }).await.unwrap();
    let by_email = route(json!(["email"]));
    world.pipeline.configure_route(&world.tenant, &"order.created".parse().unwrap(), by_email).await.unwrap();
    world.pass(10);
    world.pipeline.fan_out(&work).await.unwrap();
    world.table.write(Write::Put { key, item, only_if: Vec::new() }).await.unwrap();
    assert!(world.delivery_on(Channel::Email).is_some());
    world.later(14 * 60).await;
    assert_eq!((world.state().as_str(), world.calls()), ("pending", 0));
    world.later(61).await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 1));
    assert_eq!(world.items("STRAYS"), 0);
}

#[tokio::test]
async fn an_event_that_one_run_plans_is_not_looked_at_again() {
    let world = World::new(Script::Accept).await;
    world.sent_once().await;
    assert_eq!((world.items("BEGUN"), world.items("STRAYS")), (1, 0));
}
