//! Jobs, whatever happens to their messages: they come twice, too early, or not at all, and the work is done once and
//! whoever waits hears of its end.

use carillon_domain::{JobId, JobState};
use carillon_pipeline::jobs::JobInput;
use carillon_pipeline::ports::{Check, Key, Message, Queue, Table, Write};
use carillon_pipeline::store::jobs::Job;
use carillon_pipeline::{JobWork, WorkError};
use serde_json::{Value, json};

use crate::guarantees::world::{Script, World};

/// Ada, and so many that one turn does not reach them all.
const PEOPLE: u64 = 4_301;

async fn world() -> (World, JobId) {
    let world = World::new(Script::Accept).await;
    for i in 1..PEOPLE {
        let person = serde_json::from_value(json!({"name": "P"})).unwrap();
        let id = format!("p-{i}").parse().unwrap();
        world.pipeline.put_recipient(&world.tenant, &id, &person).await.unwrap();
    }
    let id = world.pipeline.start_job(&world.tenant, JobInput::Normalise { dry_run: false }).await.unwrap();
    (world, id)
}

fn taken(world: &World) -> JobWork {
    let messages: Vec<Message> = world.queues.take(Queue::Jobs);
    assert_eq!(messages.len(), 1);
    serde_json::from_str(&messages[0].body).unwrap()
}

async fn work(world: &World, work: &JobWork) -> Result<(), WorkError> {
    world.pipeline.work_job(work).await
}

async fn job(world: &World, id: &JobId) -> Job {
    world.pipeline.job(&world.tenant, id).await.unwrap().unwrap()
}

/// Changes the stored job behind the pipeline's back.
async fn set(world: &World, id: &JobId, attribute: &str, value: Value) {
    let key = Key::read_back(format!("T#{}#J#{id}", world.tenant), "JOB".to_owned());
    let set = vec![(attribute.to_owned(), value)];
    let update = Write::Update { key, set, add: vec![], remove: vec![], only_if: vec![Check::Present] };
    world.table.write(update).await.unwrap();
}

fn is_done(job: &Job) {
    assert_eq!(job.state, JobState::Done);
    assert_eq!(job.result, Some(json!({"changed": 0, "unchanged": PEOPLE, "impossible": []})));
    assert_eq!((job.progress.done, job.progress.total), (PEOPLE, Some(PEOPLE)));
}

#[tokio::test]
async fn a_job_goes_on_turn_by_turn_where_it_was() {
    let (world, id) = world().await;
    assert_eq!(job(&world, &id).await.state, JobState::Queued);
    work(&world, &taken(&world)).await.unwrap();
    let between = job(&world, &id).await;
    assert_eq!((between.state, between.progress.done), (JobState::Running, 4_000));
    work(&world, &taken(&world)).await.unwrap();
    is_done(&job(&world, &id).await);
    assert_eq!(world.queues.take(Queue::Jobs), []);
}

#[tokio::test]
async fn a_message_that_comes_again_repeats_nothing() {
    let (world, id) = world().await;
    let first = taken(&world);
    work(&world, &first).await.unwrap();
    let second = taken(&world);
    // Between two turns it goes on from the checkpoint, and the second message finds nothing left to do.
    work(&world, &first).await.unwrap();
    let done = job(&world, &id).await;
    is_done(&done);
    for message in [&first, &second, &first] {
        work(&world, message).await.unwrap();
    }
    assert_eq!(job(&world, &id).await, done);
    assert_eq!(world.queues.take(Queue::Jobs), []);
}

#[tokio::test]
async fn a_turn_that_cannot_be_queued_is_made_good_by_the_message_before() {
    let (world, id) = world().await;
    let first = taken(&world);
    world.queues.refusing.lock().unwrap().push(Queue::Jobs);
    assert!(matches!(work(&world, &first).await, Err(WorkError::Queue(_))));
    world.queues.refusing.lock().unwrap().clear();
    work(&world, &first).await.unwrap();
    is_done(&job(&world, &id).await);
}

#[tokio::test]
async fn nobody_works_at_a_job_beside_a_worker_until_its_lease_is_over() {
    let (world, id) = world().await;
    let first = taken(&world);
    work(&world, &first).await.unwrap();
    let second = taken(&world);
    let soon = world.pipeline.now().as_millisecond() + 120_000;
    set(&world, &id, "lease_until", json!(soon)).await;
    let before = job(&world, &id).await;
    // Its own message comes back later, should the worker have died; an older one has done its part.
    assert!(matches!(work(&world, &second).await, Err(WorkError::Leased(_))));
    work(&world, &first).await.unwrap();
    assert_eq!(job(&world, &id).await, before);
    world.later(121).await;
    work(&world, &second).await.unwrap();
    is_done(&job(&world, &id).await);
}

#[tokio::test]
async fn a_job_that_cannot_succeed_fails_and_says_why() {
    let (unreadable, id) = world().await;
    set(&unreadable, &id, "checkpoint", json!({"after": 3})).await;
    work(&unreadable, &taken(&unreadable)).await.unwrap();
    let failed = job(&unreadable, &id).await;
    assert_eq!((failed.state, failed.problem.unwrap()["status"].as_u64()), (JobState::Failed, Some(500)));

    let (tried, id) = world().await;
    set(&tried, &id, "tries", json!(5)).await;
    work(&tried, &taken(&tried)).await.unwrap();
    let failed = job(&tried, &id).await;
    let problem = failed.problem.unwrap();
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(problem["instance"], format!("/v1/jobs/{id}"));
    assert!(problem["detail"].as_str().unwrap().contains("5 times"), "{problem}");
}

#[tokio::test]
async fn a_job_that_cannot_be_queued_is_refused_and_there_is_none() {
    let (world, _) = world().await;
    world.queues.refusing.lock().unwrap().push(Queue::Jobs);
    let before = world.table.items().len();
    let refused = world.pipeline.start_job(&world.tenant, JobInput::Normalise { dry_run: true }).await;
    assert_eq!(refused.unwrap_err().kind.status(), 503);
    assert_eq!(world.table.items().len(), before);
}

#[tokio::test]
async fn a_job_is_forgotten_a_week_after_its_last_change() {
    let (world, id) = world().await;
    world.later(7 * 24 * 3_600 - 1).await;
    assert_eq!(job(&world, &id).await.state, JobState::Queued);
    world.later(2).await;
    assert_eq!(world.pipeline.job(&world.tenant, &id).await.unwrap(), None);
}
