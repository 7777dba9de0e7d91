//! What is guaranteed about one delivery, whatever goes wrong around it: never a silent duplicate, never a silent loss,
//! nothing after an opt-out; and about a job. Told on the in-memory model, with time that a test moves.

mod codes;
mod dead_letters;
mod due;
mod escalation;
mod fallbacks;
mod jobs;
mod policies;
mod ses_codes;
mod waiting;
mod world;

use std::time::Duration;

use carillon_domain::{Preferences, ReceiptKind};
use carillon_pipeline::jobs::Worked;
use carillon_pipeline::ports::Queue;
use carillon_pipeline::revive::{Asked, Expiry};
use carillon_pipeline::{DeliveryWork, WorkError};
use serde_json::json;
use world::{Script, World};

#[tokio::test]
async fn what_is_never_answered_is_sent_again_twice_and_then_parked() {
    let world = World::new(Script::LoseTheAnswer).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("in_doubt", 1));
    world.later(60).await;
    assert_eq!(world.calls(), 1, "a receipt may still come");
    for calls in [2, 3] {
        world.later(121).await;
        assert_eq!((world.state().as_str(), world.calls()), ("in_doubt", calls));
        assert_eq!(world.delivery().resends as usize, calls - 1, "each is marked");
    }
    for _ in 0..5 {
        world.later(3_600).await;
    }
    assert_eq!((world.state().as_str(), world.calls()), ("in_doubt(parked)", 3));
    world.receive(ReceiptKind::Delivered, 2).await;
    assert_eq!(world.state(), "delivered");
}

#[tokio::test]
async fn a_receipt_in_the_grace_prevents_the_second_call() {
    let world = World::new(Script::LoseTheAnswer).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    world.receive(ReceiptKind::Sent, 1).await;
    assert_eq!(world.state(), "sent");
    world.later(3_600).await;
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn a_worker_that_dies_leaves_doubt_and_its_message_calls_nobody_again() {
    let world = World::new(Script::NeverReturn).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    let message = world.queues.take(Queue::Whatsapp).remove(0);
    let work: DeliveryWork = serde_json::from_str(&message.body).unwrap();
    let batch = [work];
    let killed =
        tokio::time::timeout(Duration::from_millis(50), world.pipeline.deliver(&world.provider, &batch))
            .await;
    assert!(killed.is_err(), "killed in the middle of its call");
    assert_eq!(world.state(), "sending");
    // The queue gives the message to somebody else, first while the lease may still be held, then when it is over.
    let early = world.pipeline.deliver(&world.provider, &batch).await.remove(0);
    assert!(matches!(early, Err(WorkError::Leased(_))), "{early:?}");
    world.later(31).await;
    world.pipeline.deliver(&world.provider, &batch).await.remove(0).unwrap();
    assert_eq!((world.state().as_str(), world.calls()), ("in_doubt", 1));
    world.provider.now(Script::Accept);
    world.later(121).await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 2));
    assert_eq!(world.delivery().resends, 1);
}

/// I7, R22: three tries that count, with a wait between each two, and no fourth.
#[tokio::test]
async fn what_is_refused_for_now_is_tried_three_times() {
    let world = World::new(Script::Refuse(131_016)).await;
    world.sent_once().await;
    assert_eq!(world.state(), "retrying");
    for _ in 0..5 {
        world.later(3_600).await;
    }
    assert_eq!((world.state().as_str(), world.calls()), ("failed(attempts_exhausted)", 3));
    assert_eq!((world.delivery().tries, world.delivery().attempts.len()), (3, 3));
}

#[tokio::test]
async fn consent_taken_back_between_two_tries_stops_the_second() {
    let world = World::new(Script::AskToWait(60)).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    assert_eq!(world.state(), "retrying");
    assert_eq!(world.delivery().tries, 0, "a throttle costs no try");
    let no: Preferences = serde_json::from_value(json!({"channels": {"whatsapp": false}})).unwrap();
    assert!(world.pipeline.put_preferences(&world.tenant, &"ada".parse().unwrap(), &no).await.unwrap());
    world.provider.now(Script::Accept);
    world.later(61).await;
    assert_eq!((world.state().as_str(), world.calls()), ("skipped(opted_out)", 1));
}

#[tokio::test]
async fn what_expires_while_it_waits_is_not_sent() {
    let world = World::new(Script::AskToWait(60)).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    world.provider.now(Script::Accept);
    world.later(73 * 3_600).await;
    assert_eq!((world.state().as_str(), world.calls()), ("expired(past_expiry)", 1));
}

#[tokio::test]
async fn an_event_that_cannot_be_queued_is_accepted_and_queued_by_the_sweep() {
    let world = World::new(Script::Accept).await;
    world.queues.refusing.lock().unwrap().push(Queue::Events);
    world.accept().await;
    world.queues.refusing.lock().unwrap().clear();
    world.fan_out().await.unwrap();
    world.later(60).await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    assert_eq!(world.state(), "sent");
}

#[tokio::test]
async fn a_fan_out_that_fails_half_way_strands_nobody() {
    for opted_out in [false, true] {
        let world = World::new(Script::Accept).await;
        world.accept().await;
        world.queues.refusing.lock().unwrap().push(Queue::Whatsapp);
        assert!(world.fan_out().await.is_err());
        assert_eq!(world.state(), "pending", "written, not queued");
        world.queues.refusing.lock().unwrap().clear();
        if opted_out {
            let no: Preferences = serde_json::from_value(json!({"channels": {"whatsapp": false}})).unwrap();
            world.pipeline.put_preferences(&world.tenant, &"ada".parse().unwrap(), &no).await.unwrap();
        }
        world.fan_out().await.unwrap();
        world.deliver().await;
        let expected = if opted_out { ("skipped(opted_out)", 0) } else { ("sent", 1) };
        assert_eq!((world.state().as_str(), world.calls()), expected);
    }
}

#[tokio::test]
async fn a_message_that_is_delivered_twice_makes_one_call() {
    let world = World::new(Script::Accept).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    let message = world.queues.take(Queue::Whatsapp).remove(0);
    for _ in 0..3 {
        world.queues.put_back(Queue::Whatsapp, message.clone());
    }
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 1));
}

#[tokio::test]
async fn a_failure_of_the_second_call_is_seen_although_the_first_failed_too() {
    let world = World::new(Script::LoseTheAnswer).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.deliver().await;
    world.provider.now(Script::Accept);
    world.later(121).await;
    assert_eq!(world.state(), "sent");
    world.receive(ReceiptKind::Failed, 1).await;
    assert_eq!(world.state(), "sent", "the first call's failure says nothing about the second");
    world.receive(ReceiptKind::Failed, 2).await;
    assert_eq!(world.state(), "failed(rejected:131026)");
}

/// Takes the order back while its call is under way; the call then fails in a way that is worth repeating.
async fn cancelled_in_the_call(world: &World) {
    let event = world.delivery().event_id;
    world.pipeline.cancel(&world.caller(), &event).await.unwrap();
    world.provider.told.notify_one();
}

#[tokio::test]
async fn a_call_that_fails_after_its_event_was_cancelled_is_not_repeated() {
    let world = World::new(Script::RefuseWhenTold(131_016)).await;
    world.wait_long().await;
    world.accept().await;
    world.fan_out().await.unwrap();
    tokio::join!(world.deliver(), cancelled_in_the_call(&world));
    assert_eq!((world.state().as_str(), world.calls()), ("retrying", 1));
    world.provider.now(Script::Accept);
    world.later(601).await;
    assert_eq!((world.state().as_str(), world.calls()), ("cancelled(cancelled_by)", 1));
}

#[tokio::test]
async fn what_is_in_doubt_when_its_event_is_cancelled_is_parked_and_not_sent_again() {
    let world = World::new(Script::LoseTheAnswer).await;
    world.sent_once().await;
    cancelled_in_the_call(&world).await;
    world.later(121).await;
    assert_eq!((world.state().as_str(), world.calls()), ("in_doubt(parked)", 1));
}

#[tokio::test]
async fn what_is_asked_for_again_after_its_event_was_cancelled_goes_out() {
    let world = World::new(Script::Accept).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    cancelled_in_the_call(&world).await;
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("cancelled(cancelled_by)", 0));
    let asked = Asked { by: "operator", expiry: Expiry::Keep, force: false, today: None };
    world.pipeline.revive(&world.tenant, world.delivery(), asked).await.unwrap();
    world.deliver().await;
    assert_eq!((world.state().as_str(), world.calls()), ("sent", 1));
}

#[tokio::test]
async fn a_delivery_that_nobody_works_is_named_by_the_proof() {
    let world = World::new(Script::Accept).await;
    world.accept().await;
    world.fan_out().await.unwrap();
    let now = world.pipeline.now();
    let hour = jiff::SignedDuration::from_hours(1);
    let period = json!({"from": now - hour, "to": now + hour});
    for (minutes, faults) in [(14, 0), (1, 1)] {
        world.pass(60 * minutes);
        let proved = world.pipeline.prove(&world.caller(), period.clone()).await.unwrap();
        let Worked::AtOnce(proof) = proved else { panic!("one event is no long work") };
        assert_eq!(proof["faults"].as_array().unwrap().len(), faults, "{proof}");
        assert_eq!(proof["balanced"], faults == 0);
        let named = proof["faults"].to_string().contains("is pending and due since");
        assert_eq!(named, faults == 1, "{proof}");
    }
    world.deliver().await;
    assert_eq!(world.state(), "sent");
}
