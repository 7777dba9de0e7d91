//! What SQS promises, kept by the local queues.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use carillon_runtime::clock::SystemClock;
use tokio::sync::watch;

use super::*;
use crate::testing::{Folder, HandClock, until};

const VISIBILITY: Duration = Duration::from_secs(30);

fn settings(max_receive_count: u32) -> QueueSettings {
    QueueSettings { visibility: VISIBILITY, max_receive_count }
}

async fn queues(clock: &Arc<HandClock>, max_receive_count: u32) -> Arc<LocalQueues> {
    let journal = Journal::in_memory().unwrap();
    LocalQueues::open(journal, clock.clone(), settings(max_receive_count)).await.unwrap()
}

fn hand_clock() -> Arc<HandClock> {
    HandClock::at("2026-11-20T09:00:00Z")
}

async fn send(queues: &LocalQueues, bodies: &[&str]) {
    let message =
        |body: &&str| Message { body: (*body).to_owned(), group: "acme:normal".to_owned(), delay_s: 0 };
    queues.send(Queue::Events, bodies.iter().map(message).collect()).await.unwrap();
}

async fn receive_bodies(queues: &LocalQueues, max: usize) -> Vec<String> {
    queues.receive(Queue::Events, max).await.unwrap().into_iter().map(|message| message.body).collect()
}

#[tokio::test]
async fn a_received_message_is_hidden_until_its_visibility_timeout_ends() {
    let clock = hand_clock();
    let queues = queues(&clock, 20).await;
    send(&queues, &["a", "b"]).await;
    let first = queues.receive(Queue::Events, 1).await.unwrap().remove(0);
    assert_eq!((first.body.as_str(), first.group.as_str(), first.receive_count), ("a", "acme:normal", 1));
    assert_eq!(first.sent_at, "2026-11-20T09:00:00Z".parse::<Timestamp>().unwrap());
    clock.advance(VISIBILITY.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(receive_bodies(&queues, 10).await, ["b"]);
    clock.advance(Duration::from_millis(1));
    let again = queues.receive(Queue::Events, 10).await.unwrap().remove(0);
    assert_eq!(
        (&again.message_id, again.receive_count, again.sent_at),
        (&first.message_id, 2, first.sent_at)
    );
    assert_ne!(again.receipt_handle, first.receipt_handle);
}

#[tokio::test]
async fn a_deleted_message_never_comes_back_and_a_late_handle_deletes_nothing() {
    let clock = hand_clock();
    let queues = queues(&clock, 20).await;
    send(&queues, &["a"]).await;
    let late = queues.receive(Queue::Events, 1).await.unwrap().remove(0).receipt_handle;
    clock.advance(VISIBILITY);
    let latest = queues.receive(Queue::Events, 1).await.unwrap().remove(0).receipt_handle;
    queues.delete(Queue::Events, &[late, "nonsense".to_owned()]).await.unwrap();
    assert_eq!(queues.counts().await.unwrap()[&Queue::Events].in_flight, 1);
    queues.delete(Queue::Events, std::slice::from_ref(&latest)).await.unwrap();
    clock.advance(VISIBILITY);
    assert_eq!(receive_bodies(&queues, 10).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_released_message_comes_back_after_its_wait_and_not_before() {
    let clock = hand_clock();
    let queues = queues(&clock, 20).await;
    send(&queues, &["a"]).await;
    let message = queues.receive(Queue::Events, 1).await.unwrap().remove(0);
    queues.release(Queue::Events, &message.receipt_handle, Duration::from_secs(2)).await.unwrap();
    clock.advance(Duration::from_millis(1_999));
    assert_eq!(receive_bodies(&queues, 10).await, Vec::<String>::new());
    clock.advance(Duration::from_millis(1));
    assert_eq!(receive_bodies(&queues, 10).await, ["a"]);
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue_under_its_id() {
    let clock = hand_clock();
    let queues = queues(&clock, 3).await;
    send(&queues, &["poison"]).await;
    let mut id = String::new();
    for count in 1..=3 {
        let message = queues.receive(Queue::Events, 1).await.unwrap().remove(0);
        assert_eq!(message.receive_count, count);
        id = message.message_id;
        clock.advance(VISIBILITY);
    }
    send(&queues, &["good"]).await;
    assert_eq!(receive_bodies(&queues, 1).await, ["good"], "the poison is passed over within one call");
    let dead = queues.dead_letters(Queue::Events).await.unwrap();
    assert_eq!(
        (dead.len(), &dead[0].message_id, dead[0].body.as_str(), dead[0].receive_count),
        (1, &id, "poison", 3)
    );
    assert_eq!(dead[0].sent_at, "2026-11-20T09:00:00Z".parse::<Timestamp>().unwrap());
    let counts = queues.counts().await.unwrap();
    assert_eq!(
        counts[&Queue::Events],
        QueueCounts { visible: 0, in_flight: 1, oldest_age_s: Some(0), dead: 1 }
    );
    assert_eq!(counts[&Queue::Email], QueueCounts::default());
}

#[tokio::test]
async fn messages_survive_a_kill_and_those_in_flight_are_visible_at_once() {
    let (folder, clock) = (Folder::make(), hand_clock());
    let open = async |path: &Path| {
        let journal = Journal::open(path).unwrap();
        LocalQueues::open(journal, clock.clone(), settings(20)).await.unwrap()
    };
    let before = open(&folder.path("journal.sqlite")).await;
    send(&before, &["a", "b", "c"]).await;
    let in_flight = before.receive(Queue::Events, 2).await.unwrap();
    before.delete(Queue::Events, &[in_flight[1].receipt_handle.clone()]).await.unwrap();
    let after = open(&folder.as_killed("journal.sqlite")).await;
    let received = after.receive(Queue::Events, 10).await.unwrap();
    let seen: Vec<_> = received.iter().map(|m| (m.body.as_str(), m.receive_count)).collect();
    assert_eq!(seen, [("a", 2), ("c", 1)]);
    assert_eq!(received[0].message_id, in_flight[0].message_id);
}

#[tokio::test]
async fn what_sqs_would_refuse_is_refused_and_nothing_of_the_call_is_sent() {
    let queues = queues(&hand_clock(), 20).await;
    let long = "x".repeat(Message::MAX_BYTES + 1);
    for bad in ["", "\u{0}", "\u{ffff}", &long] {
        let message =
            |body: &str| Message { body: body.to_owned(), group: "acme:normal".to_owned(), delay_s: 0 };
        queues.send(Queue::Events, vec![message("good"), message(bad)]).await.unwrap_err();
    }
    let no_group = Message { body: "good".to_owned(), group: String::new(), delay_s: 0 };
    queues.send(Queue::Events, vec![no_group]).await.unwrap_err();
    assert_eq!(queues.counts().await.unwrap()[&Queue::Events], QueueCounts::default());
}

/// Queues on the real clock with a poller that calls `handler` until the test ends.
async fn polled<H, F>(max_receive_count: u32, handler: H) -> (Arc<LocalQueues>, watch::Sender<bool>)
where
    H: Fn(SqsEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<SqsBatchResponse, String>> + Send + 'static,
{
    let journal = Journal::in_memory().unwrap();
    let queues =
        LocalQueues::open(journal, Arc::new(SystemClock), settings(max_receive_count)).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(poll(queues.clone(), Queue::Events, 10, 4, stopped, handler));
    (queues, stop)
}

async fn is_empty(queues: &LocalQueues) -> bool {
    let counts = queues.counts().await.unwrap()[&Queue::Events];
    counts.visible + counts.in_flight == 0
}

#[tokio::test]
async fn a_poison_message_ends_in_the_dead_letter_queue_and_its_neighbours_are_deleted() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let (queues, _stop) = polled(2, move |event| {
        let mut response = SqsBatchResponse::default();
        for message in &event.records {
            let body = message.body.clone().unwrap();
            assert_eq!(message.attributes["MessageGroupId"], "acme:normal");
            assert_eq!(message.event_source_arn.as_deref(), Some("arn:aws:sqs:local:000000000000:events"));
            record
                .lock()
                .unwrap()
                .push((body.clone(), message.attributes["ApproximateReceiveCount"].clone()));
            if body == "poison" {
                response.add_failure(message.message_id.clone().unwrap());
            }
        }
        async { Ok(response) }
    })
    .await;
    send(&queues, &["a", "poison", "b"]).await;
    until("the queue is empty", async || is_empty(&queues).await).await;
    let dead = queues.dead_letters(Queue::Events).await.unwrap();
    assert_eq!(dead.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), ["poison"]);
    let seen: Vec<_> = seen.lock().unwrap().clone();
    let expected = [("a", "1"), ("poison", "1"), ("b", "1"), ("poison", "2")];
    assert_eq!(seen, expected.map(|(body, count)| (body.to_owned(), count.to_owned())));
}

#[tokio::test]
async fn a_panic_an_error_or_an_unknown_id_fails_the_whole_batch_and_the_poller_goes_on() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let (queues, _stop) = polled(20, move |event| {
        let call = count.fetch_add(1, Ordering::SeqCst);
        assert!(call != 0, "on purpose, before the future exists");
        async move {
            assert!(call != 1, "on purpose, within the future");
            let mut response = SqsBatchResponse::default();
            match call {
                2 => return Err("on purpose".to_owned()),
                3 => response.add_failure("message-of-somebody-else"),
                // The two are released one after the other, so a later call may see one of them alone.
                _ => assert!(!event.records.is_empty()),
            }
            Ok(response)
        }
    })
    .await;
    send(&queues, &["a", "b"]).await;
    // Four failures wait 0.5, 1, 1.5 and 2 seconds.
    until("the fifth call handles the batch", async || is_empty(&queues).await).await;
    assert!(calls.load(Ordering::SeqCst) >= 5);
    assert_eq!(queues.dead_letters(Queue::Events).await.unwrap(), []);
}

#[tokio::test]
async fn batches_run_side_by_side_up_to_the_limit_and_a_stop_waits_for_them() {
    let (running, most, finished) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak, done) = (running.clone(), most.clone(), finished.clone());
    let journal = Journal::in_memory().unwrap();
    let queues = LocalQueues::open(journal, Arc::new(SystemClock), settings(20)).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let handler = move |_: SqsEvent| {
        let (now, peak, done) = (now.clone(), peak.clone(), done.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            done.fetch_add(1, Ordering::SeqCst);
            Ok::<_, String>(SqsBatchResponse::default())
        }
    };
    let poller = tokio::spawn(poll(queues.clone(), Queue::Events, 1, 2, stopped, handler));
    send(&queues, &["a", "b", "c", "d", "e"]).await;
    until("two batches run", async || running.load(Ordering::SeqCst) == 2).await;
    stop.send(true).unwrap();
    poller.await.unwrap();
    assert_eq!((most.load(Ordering::SeqCst), running.load(Ordering::SeqCst)), (2, 0));
    let left = queues.counts().await.unwrap()[&Queue::Events];
    assert_eq!((left.in_flight, left.visible), (0, 5 - finished.load(Ordering::SeqCst) as u64));
}
