//! What is guaranteed about an escalation: each step is told once, however often and however late the sweep comes; nothing
//! of it is told after it was acknowledged, wherever the step is by then.

use carillon_domain::{EventId, KeyKind, Principal, Scope};
use carillon_pipeline::EventWork;
use carillon_pipeline::jobs::Worked;
use carillon_pipeline::ports::{Key, Queue, Table, Write};
use serde_json::{Value, json};

use super::world::{Script, World};

/// Ada is told first, Bo after ten minutes, Cy after twenty.
async fn escalating() -> World {
    let step = |after_s: u32, id: &str| json!({"after_s": after_s, "audience": {"ids": [id]}});
    let world = World::routed(
        Script::Accept,
        json!({
            "audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp"],
            "escalation": [step(600, "bo"), step(1_200, "cy")],
        }),
    )
    .await;
    for (id, phone) in [("bo", "+12025550118"), ("cy", "+12025550119")] {
        let person = json!({"name": id, "phone": phone});
        world.pipeline.configure_recipient(&world.tenant, &id.parse().unwrap(), person).await.unwrap();
    }
    world.sent_once().await;
    assert_eq!(world.calls(), 1);
    world
}

/// The event that was posted.
fn first(world: &World) -> EventId {
    let items = world.table.items();
    let event = items.into_iter().find(|(key, item)| key.sk() == "EVENT" && !item.contains_key("escalates"));
    event.unwrap().1["id"].as_str().unwrap().to_owned().try_into().unwrap()
}

async fn acknowledge(world: &World) -> Value {
    let caller = Principal {
        tenant: world.tenant.clone(),
        key_id: "key".to_owned(),
        key_kind: KeyKind::Live,
        scopes: vec![Scope::EventsWrite],
    };
    match world.pipeline.acknowledge(&caller, &first(world), json!({})).await.unwrap() {
        Worked::AtOnce(answer) => answer["cancelled"].clone(),
        Worked::AsJob(id) => panic!("small work became the job {id}"),
    }
}

/// Everything that goes on by itself for a while.
async fn goes_on(world: &World) {
    for _ in 0..4 {
        world.fan_out().await.unwrap();
        world.deliver().await;
        world.later(1_200).await;
    }
}

#[tokio::test]
async fn a_step_is_told_once_by_sweeps_that_come_twice_and_messages_that_come_twice() {
    let world = escalating().await;
    for calls in [2, 3] {
        world.later(600).await;
        let (one, other) = tokio::join!(world.pipeline.sweep_due(), world.pipeline.sweep_due());
        one.and(other).unwrap();
        let messages = world.queues.take(Queue::Events);
        for message in messages.iter().chain(&messages) {
            world.queues.put_back(Queue::Events, message.clone());
        }
        world.fan_out().await.unwrap();
        world.deliver().await;
        assert_eq!(world.calls(), calls);
    }
    goes_on(&world).await;
    assert_eq!(world.calls(), 3);
}

#[tokio::test]
async fn steps_that_a_late_sweep_finds_are_told_once_each() {
    let world = escalating().await;
    world.later(86_400).await;
    goes_on(&world).await;
    assert_eq!((world.calls(), world.items("EVENT")), (3, 3));
}

#[tokio::test]
async fn a_step_whose_event_cannot_be_queued_is_told_by_the_next_sweep() {
    let world = escalating().await;
    world.queues.refusing.lock().unwrap().push(Queue::Events);
    world.later(600).await;
    assert_eq!(world.queued(Queue::Events), 0);
    world.queues.refusing.lock().unwrap().clear();
    world.later(60).await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    assert_eq!((world.calls(), world.items("EVENT")), (2, 2));
}

#[tokio::test]
async fn nothing_is_told_after_an_acknowledgement_wherever_its_step_is() {
    // Before it is due; swept and not planned; planned and queued.
    for (stage, cancelled) in [(0, 2), (1, 1), (2, 2)] {
        let world = escalating().await;
        if stage > 0 {
            world.later(600).await;
        }
        if stage > 1 {
            world.fan_out().await.unwrap();
        }
        assert_eq!(acknowledge(&world).await, json!(cancelled), "stage {stage}");
        goes_on(&world).await;
        assert_eq!(world.calls(), 1, "stage {stage}");
        assert_eq!(acknowledge(&world).await, json!(cancelled), "stage {stage}: the same again");
    }
}

#[tokio::test]
async fn a_worker_that_holds_a_step_asks_before_its_call() {
    let world = escalating().await;
    world.later(600).await;
    world.fan_out().await.unwrap();
    // Whoever takes it back has come no further than the note.
    let events: Vec<EventWork> = told(&world);
    let key = Key::read_back(format!("T#acme#E#{}", events[0].event_id), "CANCELLED".to_owned());
    let item = json!({"reason": "acknowledged"}).as_object().unwrap().clone();
    world.table.write(Write::Put { key, item, only_if: Vec::new() }).await.unwrap();
    world.deliver().await;
    assert_eq!(world.calls(), 1);
    let states: Vec<String> = world
        .table
        .items()
        .into_iter()
        .filter(|(key, item)| key.sk().starts_with("D#") && item.contains_key("escalates"))
        .map(|(_, item)| format!("{}({})", item["state"].as_str().unwrap(), item["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(states, ["cancelled(acknowledged)"]);
}

/// The events that steps became, as work.
fn told(world: &World) -> Vec<EventWork> {
    let events = world.table.items().into_iter().filter(|(key, _)| key.sk() == "EVENT");
    let steps = events.filter(|(_, item)| item.contains_key("escalates"));
    let work = |item: &serde_json::Map<String, Value>| {
        serde_json::from_value(json!({"tenant": "acme", "event_id": item["id"]})).unwrap()
    };
    steps.map(|(_, item)| work(&item)).collect()
}

#[tokio::test]
async fn an_acknowledgement_that_was_cut_short_is_obeyed_all_the_same() {
    let world = escalating().await;
    let key = Key::read_back(format!("T#acme#E#{}", first(&world)), "ACKNOWLEDGED".to_owned());
    let item = json!({"at": 1_795_000_000_000_i64, "by": "api"}).as_object().unwrap().clone();
    world.table.write(Write::Put { key, item, only_if: Vec::new() }).await.unwrap();
    goes_on(&world).await;
    assert_eq!(world.calls(), 1);
    assert_eq!(acknowledge(&world).await, json!(2), "whoever repeats it completes it");
}

#[tokio::test]
async fn an_acknowledgement_that_comes_before_the_plan_stops_every_step() {
    let world = World::routed(
        Script::Accept,
        json!({
            "audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp"],
            "escalation": [{"after_s": 600, "audience": {"ids": ["ada"]}}],
        }),
    )
    .await;
    world.accept().await;
    acknowledge(&world).await;
    goes_on(&world).await;
    assert_eq!(world.calls(), 1, "the event itself is told");
}
