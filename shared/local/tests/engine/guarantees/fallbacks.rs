//! When a route's fallback is owed and when it is not: by whatever way a delivery fails, whatever comes between.

use carillon_domain::{Address, Channel, ReceiptKind};
use carillon_pipeline::JobWork;
use carillon_pipeline::inbound::{Inbound, Said};
use carillon_pipeline::jobs::Worked;
use carillon_pipeline::ports::Queue;
use serde_json::{Value, json};

use crate::guarantees::world::{Script, World};

/// Where Ada is reached by WhatsApp.
const PHONE: &str = "+12025550117";

/// Ada is told by WhatsApp, else by email.
async fn world(answer: Script) -> World {
    let route = json!({
        "audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp"], "fallback": {"channels": ["email"]}
    });
    World::routed(answer, route).await
}

/// Ada has lost her phone.
async fn without_phone(world: &World) {
    world.ada_has(json!({"email": "ada@example.com"})).await;
}

fn has_fallen_back(world: &World) -> bool {
    world.delivery_on(Channel::Email).is_some()
}

async fn switch(world: &World, setting: Value) {
    let list = json!({"switches": [setting]});
    world.pipeline.configure_switches(&world.caller(), list).await.unwrap();
    // Longer than anybody remembers another list.
    world.pass(10);
}

/// An order that waits for Ada to write.
async fn waiting_for_ada() -> World {
    let world = world(Script::Accept).await;
    let text = json!({"locales": {"en": {
        "whatsapp": {"text": "Order {{ data.number }}", "window_only": true},
        "email": {"subject": "Order", "html": "<p>{{ data.number }}</p>"}
    }}});
    world.pipeline.configure_template(&world.tenant, &"order".parse().unwrap(), text, true).await.unwrap();
    // Planned while her window is open, and kept on its way for longer than that.
    ada_writes(&world).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.pass(86_401);
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("held(window_closed)", 0));
    world
}

/// Ada writes from the number that she had.
async fn ada_writes(world: &World) {
    let pipeline = &world.pipeline;
    let inbound = Inbound {
        from: vec![Address::Phone(PHONE.to_owned())],
        at: pipeline.now(),
        said: Said::Message(None),
    };
    pipeline.record_inbound(&world.tenant, "100000000000001", &inbound).await.unwrap();
}

#[tokio::test]
async fn the_fallback_of_a_cancelled_event_is_not_sent() {
    for cancelled in [false, true] {
        let world = world(Script::Accept).await;
        world.sent_once().await;
        world.fail_later(131_026).await;
        assert!(world.delivery().fallback_at.is_some(), "owed");
        if cancelled {
            let event = world.delivery().event_id;
            let done = world.pipeline.cancel(&world.caller(), &event).await.unwrap();
            assert!(matches!(done, Worked::AtOnce(_)));
        }
        world.later(1).await;
        assert_eq!(has_fallen_back(&world), !cancelled);
        assert_eq!(
            (world.delivery().fallback_at, world.queued(Queue::Email)),
            (None, usize::from(!cancelled))
        );
    }
}

#[tokio::test]
async fn a_fallback_that_is_owed_survives_a_receipt_that_overtakes_the_answer() {
    let world = world(Script::LoseTheAnswer).await;
    world.sent_once().await;
    world.provider.now(Script::RefuseWhenTold(131_026));
    world.swept_later(121).await;
    let receipt = async {
        assert_eq!((world.state().as_str(), world.calls()), ("sending", 2));
        world.receive(ReceiptKind::Failed, 1).await;
        assert_eq!(world.state(), "sending", "the first call's failure says nothing about the second");
        world.provider.told.notify_one();
    };
    tokio::join!(world.deliver(), receipt);
    assert_eq!(world.state(), "failed(rejected:131026)");
    assert!(world.delivery().receipts.contains_key(&ReceiptKind::Failed));
    world.later(1).await;
    assert!(has_fallen_back(&world));
}

#[tokio::test]
async fn a_delivery_that_the_sweep_ends_owes_its_fallback() {
    let world = world(Script::AskToWait(60)).await;
    world.sent_once().await;
    without_phone(&world).await;
    world.later(61).await;
    assert_eq!((world.state().as_str(), world.calls()), ("failed(no_address)", 1));
    assert!(has_fallen_back(&world));
}

#[tokio::test]
async fn a_delivery_that_its_worker_ends_owes_its_fallback() {
    let world = world(Script::Accept).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    without_phone(&world).await;
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("failed(no_address)", 0));
    world.later(1).await;
    assert!(has_fallen_back(&world));
}

#[tokio::test]
async fn a_stray_that_cannot_be_sent_any_more_owes_its_fallback() {
    let world = world(Script::Accept).await;
    world.accept().await;
    world.queues.refusing.lock().unwrap().push(Queue::Whatsapp);
    assert!(world.fan_out().await.is_err());
    world.queues.refusing.lock().unwrap().clear();
    without_phone(&world).await;
    // Planned anew Ada is reached by nothing of the route but its fallback; what was written before is ended.
    world.fan_out().await.unwrap();
    assert_eq!(world.state(), "failed(no_address)");
    world.later(1).await;
    assert!(has_fallen_back(&world));
    assert_eq!(world.planned(), 2);
}

#[tokio::test]
async fn a_window_that_opens_for_somebody_who_has_lost_the_number_leaves_a_fallback_owed() {
    let world = waiting_for_ada().await;
    without_phone(&world).await;
    ada_writes(&world).await;
    assert_eq!((world.state().as_str(), world.calls()), ("failed(no_address)", 0));
    world.later(1).await;
    assert!(has_fallen_back(&world));
}

#[tokio::test]
async fn what_is_in_doubt_and_dropped_by_a_switch_owes_its_fallback() {
    let world = world(Script::LoseTheAnswer).await;
    world.sent_once().await;
    switch(&world, json!({"scope": "channel", "value": "whatsapp", "stopped": true, "mode": "drop"})).await;
    world.later(121).await;
    assert_eq!((world.state().as_str(), world.calls()), ("failed(unknown_outcome)", 1));
    assert!(has_fallen_back(&world));
}

#[tokio::test]
async fn a_switch_that_drops_ends_what_waits_for_its_reader_to_write_and_one_that_holds_does_not() {
    for (mode, state) in [("hold", "held(window_closed)"), ("drop", "skipped(switched_off)")] {
        let world = waiting_for_ada().await;
        switch(&world, json!({"scope": "tenant", "stopped": true, "mode": mode})).await;
        for message in world.queues.take(Queue::Jobs) {
            let work: JobWork = serde_json::from_str(&message.body).unwrap();
            world.pipeline.work_job(&work).await.unwrap();
        }
        assert_eq!(world.state(), state, "{mode}");
        ada_writes(&world).await;
        world.deliver().await;
        assert_eq!(world.calls(), 0, "{mode}");
    }
}
