//! What a route says about doubt and failure: park, resend, fallback, once each.

use carillon_domain::Channel;
use serde_json::{Value, json};

use crate::guarantees::world::{Script, World};

fn route(more: &Value) -> Value {
    let mut route = json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp"]});
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    route
}

#[tokio::test]
async fn the_routes_policy_decides_after_the_grace() {
    let fallback = json!({"in_doubt": "fallback", "fallback": {"channels": ["email"]}});
    for (more, state, calls) in [
        (json!({"in_doubt": "park"}), "in_doubt(parked)", 1),
        (json!({"in_doubt": "resend"}), "in_doubt", 2),
        (fallback, "failed(unknown_outcome)", 1),
    ] {
        let world = World::routed(Script::LoseTheAnswer, route(&more)).await;
        world.sent_once().await;
        world.later(121).await;
        assert_eq!((world.state().as_str(), world.calls()), (state, calls), "{more}");
    }
}

#[tokio::test]
async fn the_tenants_policy_and_grace_hold_where_the_route_says_nothing() {
    let world = World::new(Script::LoseTheAnswer).await;
    let settings = json!({"in_doubt": {"policy": "park", "grace_s": {"whatsapp": 600}}});
    world.pipeline.configure_settings(&world.tenant, settings).await.unwrap();
    world.sent_once().await;
    world.later(300).await;
    assert_eq!(world.state(), "in_doubt");
    world.later(301).await;
    assert_eq!(world.state(), "in_doubt(parked)");
}

#[tokio::test]
async fn a_failure_falls_back_once_whatever_says_it_again() {
    let world = World::routed(Script::Accept, route(&json!({"fallback": {"channels": ["email"]}}))).await;
    world.sent_once().await;
    assert!(world.delivery_on(Channel::Email).is_none());
    world.fail_later(131_026).await;
    assert_eq!(world.state(), "failed(rejected:131026)");
    world.later(1).await;
    let email = world.delivery_on(Channel::Email).expect("the fallback");
    assert_eq!(email.state, carillon_domain::State::Pending);
    assert_eq!(world.queued(carillon_pipeline::ports::Queue::Email), 1);
    world.fail_later(131_026).await;
    world.later(60).await;
    assert_eq!(world.queued(carillon_pipeline::ports::Queue::Email), 1);
    assert_eq!(world.planned(), 2, "the event counts both");
}

#[tokio::test]
async fn nothing_delivered_in_time_falls_back_and_a_receipt_in_time_prevents_it() {
    let late = || route(&json!({"fallback": {"after_s": 3_600, "channels": ["email"]}}));
    let world = World::routed(Script::Accept, late()).await;
    world.sent_once().await;
    world.later(3_599).await;
    assert!(world.delivery_on(Channel::Email).is_none());
    world.later(1).await;
    assert!(world.delivery_on(Channel::Email).is_some());
    assert_eq!(world.state(), "sent", "the first may still arrive");

    let world = World::routed(Script::Accept, late()).await;
    world.sent_once().await;
    world.receive(carillon_domain::ReceiptKind::Delivered, 1).await;
    world.later(7_200).await;
    assert!(world.delivery_on(Channel::Email).is_none());
}

#[tokio::test]
async fn whom_no_channel_of_the_route_reaches_is_told_by_its_fallback_at_once() {
    let world = World::routed(Script::Accept, route(&json!({"fallback": {"channels": ["in_app"]}}))).await;
    let ada = json!({"name": "Ada"});
    world.pipeline.configure_recipient(&world.tenant, &"ada".parse().unwrap(), ada).await.unwrap();
    world.accept().await;
    world.fan_out().await.unwrap();
    assert_eq!(world.state(), "skipped(no_address)");
    assert_eq!(world.delivery_on(Channel::InApp).unwrap().state, carillon_domain::State::Delivered);
}

#[tokio::test]
async fn a_failure_that_is_told_twice_or_late_leaves_the_second_try_alone() {
    let world = World::new(Script::Accept).await;
    world.wait_long().await;
    world.sent_once().await;
    world.fail_later(131_016).await;
    assert_eq!(world.state(), "retrying");
    world.fail_later(131_016).await;
    world.receive(carillon_domain::ReceiptKind::Sent, 1).await;
    assert_eq!(world.state(), "retrying", "neither is news");
    world.later(601).await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 2));
}

#[tokio::test]
async fn a_tenants_retry_schedule_replaces_the_default() {
    let world = World::new(Script::Refuse(131_016)).await;
    let once = json!({"retry": {"whatsapp": {"tries": 1, "base_ms": 1_000, "factor": 1, "cap_ms": 1_000}}});
    world.pipeline.configure_settings(&world.tenant, once).await.unwrap();
    world.sent_once().await;
    assert_eq!((world.state().as_str(), world.calls()), ("failed(attempts_exhausted)", 1));
}
