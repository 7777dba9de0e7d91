//! What a run says in its log: what happened to which delivery, and of nobody who they are.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use carillon_tests::Dev;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Every component of ours says all it can; libraries say what they say in production.
const FILTER: &str = "info,api=trace,carillon_aws=trace,carillon_channels=trace,carillon_domain=trace,carillon_local=trace,\
    carillon_pipeline=trace,carillon_runtime=trace,dead_letter=trace,deliver_email=trace,deliver_whatsapp=trace,fan_out=trace,\
    inbox=trace,intake=trace,jobs=trace,operate=trace,receipts=trace,statistics=trace,sweep_cleanup=trace,sweep_due=trace,\
    sweep_health=trace,sweep_reminders=trace,webhooks=trace";

/// Starts listening to the whole process: nextest gives each test its own.
fn listen() -> Written {
    let written = Written::default();
    let to = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::new(FILTER))
        .with_writer(move || to.clone());
    subscriber.try_init().expect("nobody else listens in this process");
    written
}

async fn post(dev: &Dev, number: &str) -> String {
    let event = json!({"type": "order.created", "data": {"number": number, "by": "Ada Example"}});
    let accepted = dev.producer.post("/v1/events", &event).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    dev.advance(3_600).await;
    accepted.body["event_id"].as_str().unwrap().to_owned()
}

/// Everything that can go wrong with something personal in it.
async fn wrong_calls(dev: &Dev) {
    let bad = json!({"name": "Ada Example", "phone": "+1 202 555 0101 0101 0101", "email": "ada@example"});
    assert_eq!(dev.admin.put("/v1/recipients/eve", &bad).await.status, 422);
    let taken = json!({"name": "Eve Example", "phone": "+12025550101"});
    assert_eq!(dev.admin.put("/v1/recipients/eve", &taken).await.status, 409);
    let json_type = [("content-type", "application/json")];
    let broken = b"{\"name\": \"Ada Example\", ada@example.com".to_vec();
    assert_eq!(dev.admin.raw("PUT", "/v1/recipients/eve", &json_type, Some(broken)).await.status, 400);
    let stranger = dev.admin.with_key("ck_live_not-a-key-of-anybody");
    assert_eq!(stranger.get("/v1/recipients/ada").await.status, 401);
    let webhook =
        br#"{"entry": [{"changes": [{"value": {"contacts": [{"wa_id": "12025550101"}]}}]}]}"#.to_vec();
    let unsigned = [("x-hub-signature-256", "sha256=00")];
    let anybody = dev.admin.with_key("");
    assert_eq!(anybody.raw("POST", "/webhooks/whatsapp", &unsigned, Some(webhook)).await.status, 401);
    assert_eq!(dev.admin.get("/v1/inbox/recent?recipient=ada@example.com").await.status, 404);
    assert_eq!(dev.admin.get("/u/not-a-link").await.status, 404);
}

/// I18, R35: no name, address, key, token or secret is in any line of a run that sends, fails, is written to, is called wrongly
/// and forgets; and the lines of one delivery, by its id, tell what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn no_line_says_who_somebody_is_and_a_failed_delivery_is_told_whole_i18_r35() {
    let written = listen();
    let dev = Dev::virtual_time().await;
    dev.with_an_order_route().await;
    let ada = json!({"name": "Ada Example", "email": "ada@example.com", "phone": "+12025550101", "bsuid": "US.13491208655302741918"});
    assert_eq!(dev.admin.put("/v1/recipients/ada", &ada).await.status, 200);
    let token = dev.admin.post("/v1/recipients/ada/token", &json!({})).await.body["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(dev.admin.with_key(&token).get("/v1/inbox/recent").await.status, 200);
    post(&dev, "N-1").await;
    let mut failed = String::new();
    for faults in [
        json!({"whatsapp": {"refuse": {"code": 131_026, "rate": 1.0}}, "email": {"down": true}}),
        json!({"whatsapp": {"lose_answer": 1.0}, "email": {"lose_request": 1.0}}),
        json!({"whatsapp": {"refuse": {"code": 190, "rate": 1.0}}}),
        json!({}),
    ] {
        assert_eq!(dev.admin.post("/dev/faults", &faults).await.status, 200);
        let event = post(&dev, "N-2").await;
        if failed.is_empty() {
            failed = event;
        }
    }
    for text in ["hello from Ada Example", "STOP"] {
        let from = json!({"from": "+12025550101", "text": text});
        assert!(dev.admin.post("/dev/inbound", &from).await.status < 300);
        dev.advance(60).await;
    }
    wrong_calls(&dev).await;
    let whatsapp = dev.deliveries(&failed).await.into_iter().find(|d| d["channel"] == "whatsapp").unwrap();
    assert_eq!(whatsapp["state"], "failed", "{whatsapp}");
    assert!(dev.admin.delete("/v1/recipients/ada?erase=true").await.status < 300);
    dev.advance(100 * 86_400).await;

    let ready = dev.cloud.ready();
    let secrets =
        [&ready.api_key, &ready.admin_key, &ready.whatsapp_verify_token, &ready.whatsapp_app_secret, &token];
    let personal =
        ["Ada", "Eve", "ada@example", "2025550101", "202 555", "13491208655302741918", "N-2", "not-a-key-of"];
    let lines = written.lines();
    assert!(lines.len() > 50, "{} lines", lines.len());
    for line in &lines {
        for trace in personal.iter().copied().chain(secrets.iter().map(|secret| secret.as_str())) {
            assert!(!line.contains(trace), "{trace:?} is in {line}");
        }
    }
    let read: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_it: Vec<&Value> = read.iter().filter(|line| line["delivery.id"] == whatsapp["id"]).collect();
    let call =
        of_it.iter().find(|line| line["message"] == "provider called").unwrap_or_else(|| panic!("{of_it:?}"));
    assert_eq!(
        (&call["delivery.state"], &call["attempt.outcome"], &call["attempt.code"]),
        (&json!("failed"), &json!("rejected"), &json!("131026")),
        "{call}"
    );
}
