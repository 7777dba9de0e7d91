//! Throttles and digests, whatever is repeated: a fan-out that comes again counts once, and a digest whose carrier was lost
//! on its way tells of everything, once.

use carillon_domain::{Channel, Delivery};
use carillon_pipeline::ports::{Queue, Table, Write};
use serde_json::{Value, json};

use crate::guarantees::world::{Script, World};

fn route(changes: &Value) -> Value {
    let mut route =
        json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp", "email"]});
    for (name, value) in changes.as_object().unwrap() {
        route[name] = value.clone();
    }
    route
}

/// What is told on WhatsApp: each state with its reason, sorted.
fn states(world: &World) -> Vec<String> {
    let deliveries = deliveries(world).into_iter().filter(|d| d.channel == Channel::Whatsapp);
    let mut states: Vec<String> = deliveries.map(|d| d.state.to_string()).collect();
    states.sort();
    states
}

fn deliveries(world: &World) -> Vec<Delivery> {
    let items = world.table.items().into_iter().filter(|(key, _)| key.sk().starts_with("D#"));
    items.map(|(_, item)| serde_json::from_value(Value::Object(item)).unwrap()).collect()
}

/// Fans out while the channels' queues refuse, and once more when they do not.
async fn fan_out_twice(world: &World) {
    *world.queues.refusing.lock().unwrap() = vec![Queue::Whatsapp, Queue::Email];
    let message = world.queues.take(Queue::Events).remove(0);
    world.queues.put_back(Queue::Events, message.clone());
    // Of what waits nothing is queued, so nothing is refused.
    let _refused_or_not = world.fan_out().await;
    world.queues.take(Queue::Events);
    world.queues.put_back(Queue::Events, message);
    world.queues.refusing.lock().unwrap().clear();
    world.fan_out().await.unwrap();
}

#[tokio::test]
async fn a_fan_out_that_comes_again_takes_room_once() {
    for mode in ["defer", "drop"] {
        let throttle = json!({"throttle": {"count": 2, "per_s": 3_600, "mode": mode}});
        let world = World::routed(Script::Accept, route(&throttle)).await;
        for id in ["1", "2", "3"] {
            world.accept_numbered(id).await;
            fan_out_twice(&world).await;
        }
        let third = if mode == "defer" { "held(throttled)" } else { "skipped(throttled)" };
        let mut wanted = [third, "pending", "pending"];
        wanted.sort_unstable();
        assert_eq!(states(&world), wanted, "{mode}");
        let room = world.table.items().into_iter().find(|(key, _)| key.sk() == "THROTTLE#transactional");
        let taken = room.unwrap().1["taken"].as_array().unwrap().len();
        assert_eq!(taken, if mode == "defer" { 3 } else { 2 }, "{mode}: one event on two channels takes one");
        world.deliver().await;
        assert_eq!(world.calls(), 2);
        world.later(3_600).await;
        assert_eq!(world.calls(), if mode == "defer" { 3 } else { 2 }, "{mode}");
    }
}

#[tokio::test]
async fn what_was_dropped_stays_so_when_its_fan_out_comes_again_later() {
    let throttle = json!({"throttle": {"count": 1, "per_s": 60, "mode": "drop"}, "channels": ["whatsapp"]});
    let world = World::routed(Script::Accept, route(&throttle)).await;
    world.accept_numbered("1").await;
    world.fan_out().await.unwrap();
    world.accept_numbered("2").await;
    let again = world.queues.take(Queue::Events);
    world.queues.put_back(Queue::Events, again[0].clone());
    world.fan_out().await.unwrap();
    world.pass(120);
    world.queues.put_back(Queue::Events, again[0].clone());
    world.fan_out().await.unwrap();
    assert_eq!(states(&world), ["pending", "skipped(throttled)"]);
}

fn digest() -> Value {
    route(&json!({"digest": {"key": "data.number", "window_s": 600}, "channels": ["whatsapp"]}))
}

#[tokio::test]
async fn a_digest_leaves_once_however_often_anything_is_done() {
    let world = World::routed(Script::Accept, digest()).await;
    for id in ["1", "2", "3"] {
        world.accept_numbered(id).await;
        // Delivered twice: a digest queues nothing that could be refused.
        let message = world.queues.take(Queue::Events).remove(0);
        for _ in 0..2 {
            world.queues.put_back(Queue::Events, message.clone());
            world.fan_out().await.unwrap();
        }
        world.pass(60);
    }
    assert_eq!(states(&world), ["held(digest)"; 3]);
    // The carrier is moved on, and its message is lost.
    *world.queues.refusing.lock().unwrap() = vec![Queue::Whatsapp];
    world.swept_later(500).await;
    world.swept_later(60).await;
    assert_eq!(states(&world), ["pending", "skipped(digested)", "skipped(digested)"]);
    world.queues.refusing.lock().unwrap().clear();
    for _ in 0..3 {
        world.later(1_000).await;
    }
    assert_eq!(
        (world.calls(), states(&world)),
        (1, vec!["sent".to_owned(), "skipped(digested)".to_owned(), "skipped(digested)".to_owned()])
    );
    let all = deliveries(&world);
    let carrier = all.iter().find(|d| d.carried_by.is_none()).unwrap();
    assert_eq!(carrier.digest.as_ref().unwrap().carries.unwrap().events, 3);
    assert!(all.iter().filter(|d| d.id != carrier.id).all(|d| d.carried_by.as_ref() == Some(&carrier.id)));
}

#[tokio::test]
async fn a_member_that_comes_after_its_digest_has_closed_is_told_by_itself() {
    let world = World::routed(Script::Accept, digest()).await;
    world.accept_numbered("1").await;
    world.fan_out().await.unwrap();
    world.accept_numbered("2").await;
    world.fan_out().await.unwrap();
    // As if the second had been written a little too late: it is not there yet when the first closes the digest.
    let second = deliveries(&world).into_iter().max_by_key(|d| d.event_id.to_string()).unwrap();
    let (key, item) = world
        .table
        .items()
        .into_iter()
        .find(|(key, _)| key.sk().starts_with(&format!("D#{}", second.event_id)))
        .unwrap();
    let gone = Write::Delete { key: key.clone(), only_if: Vec::new() };
    world.table.write(gone).await.unwrap();
    world.later(601).await;
    assert_eq!(world.calls(), 1);
    world.table.write(Write::Put { key, item, only_if: Vec::new() }).await.unwrap();
    world.later(1).await;
    assert_eq!((world.calls(), states(&world)), (2, vec!["sent".to_owned(), "sent".to_owned()]));
}

/// Write units of planning one event under a route.
async fn units(changes: &Value) -> u64 {
    let mut changes = changes.clone();
    changes["channels"] = json!(["whatsapp"]);
    let world = World::routed(Script::Accept, route(&changes)).await;
    world.accept().await;
    drop(world.table.take_tally());
    world.fan_out().await.unwrap();
    world.table.take_tally().total().write_units
}

#[tokio::test]
async fn a_digest_costs_two_units_more_than_waiting_and_a_throttle_one() {
    let usual = units(&json!({})).await;
    assert_eq!(usual, units(&json!({"send_window": {"from": "00:00", "to": "24:00"}})).await);
    // The head, the place in the list, and that it waits.
    assert_eq!(units(&json!({"digest": {"key": "data.number", "window_s": 60}})).await, usual + 2 + 1);
    assert_eq!(units(&json!({"throttle": {"count": 1, "per_s": 60}})).await, usual + 1);
}
