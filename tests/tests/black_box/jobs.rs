//! Long work by HTTP: what is small is answered at once, what is large becomes a job that can be followed to the same
//! result, by its own tenant only, and that no repeated queue message disturbs.

use carillon_pipeline::ports::Queue;
use carillon_tests::{Client, Dev, until};
use serde_json::{Value, json};

/// More recipients than a call works itself.
const MANY: usize = 1_250;

async fn import(admin: &Client, people: impl Iterator<Item = Value>) {
    let lines: Vec<String> = people.map(|person| person.to_string()).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let body = Some(lines.join("\n").into_bytes());
    let imported = admin.raw("POST", "/v1/recipients/import", &headers, body).await.body;
    assert_eq!(imported["failed"], 0, "{imported}");
}

async fn ended(client: &Client, id: &str) -> Value {
    until("the job to end", async || {
        let job = client.get(&format!("/v1/jobs/{id}")).await.body;
        ["done", "failed"].contains(&job["state"].as_str().unwrap()).then_some(job)
    })
    .await
}

async fn queue_is_empty(dev: &Dev) {
    until("the jobs queue to be empty", async || {
        let counts = dev.cloud.queues().counts().await.unwrap()[&Queue::Jobs];
        assert_eq!(counts.dead, 0);
        (counts.visible + counts.in_flight == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_a_call_is_a_job_with_the_same_result() {
    let dev = Dev::start().await;
    import(&dev.admin, (0..MANY).map(|i| json!({"id": format!("p-{i:05}"), "name": "P"}))).await;
    let started = dev.admin.post("/v1/recipients/normalise", &json!({})).await;
    assert_eq!(started.status, 202, "{started:?}");
    let id = started.body["job_id"].as_str().unwrap();
    let job = ended(&dev.producer, id).await;
    assert_eq!((&job["id"], &job["kind"], &job["state"]), (&json!(id), &json!("normalise"), &json!("done")));
    assert_eq!(job["result"], json!({"changed": 0, "unchanged": MANY, "impossible": []}));
    assert_eq!(job["progress"], json!({"done": MANY, "total": MANY}));
    assert!(job["created_at"].as_str() <= job["changed_at"].as_str(), "{job}");

    // A message that comes again, of whatever turn, finds nothing to do.
    queue_is_empty(&dev).await;
    for turn in [0, 1, 7] {
        let again = json!({"tenant": dev.cloud.ready().tenant, "job_id": id, "turn": turn});
        dev.cloud.queues().send_raw(Queue::Jobs, again.to_string()).await.unwrap();
    }
    queue_is_empty(&dev).await;
    assert_eq!(dev.admin.get(&format!("/v1/jobs/{id}")).await.body, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_seen_by_its_own_tenant_and_with_the_scope_read() {
    let dev = Dev::start().await;
    import(&dev.admin, (0..MANY).map(|i| json!({"id": format!("p-{i:05}"), "name": "P"}))).await;
    let started = dev.admin.post("/v1/recipients/normalise", &json!({"dry_run": true})).await;
    let path = format!("/v1/jobs/{}", started.body["job_id"].as_str().unwrap());
    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    assert_eq!(dev.admin.with_key(&other.admin_key).get(&path).await.status, 404);
    assert_eq!(dev.producer.get(&path).await.status, 200);
    let inbox_only = json!({"name": "Feed", "kind": "live", "scopes": ["inbox"]});
    let key = dev.admin.post("/v1/keys", &inbox_only).await.body["key"].as_str().unwrap().to_owned();
    assert_eq!(dev.admin.with_key(&key).get(&path).await.status, 403);
    for nobody in ["no-id", "aaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(dev.admin.get(&format!("/v1/jobs/{nobody}")).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_recipients_are_normalised_within_the_call() {
    let dev = Dev::start().await;
    import(&dev.admin, (0..3).map(|i| json!({"id": format!("p-{i}"), "name": "P"}))).await;
    let report = dev.admin.post("/v1/recipients/normalise", &json!({})).await;
    assert_eq!(report.status, 200);
    assert_eq!(report.body, json!({"changed": 0, "unchanged": 3, "impossible": []}));
}
