//! A load with proof: `carillon dev` as a process of its own, events posted to it, optionally killed with SIGKILL again
//! and again, and at the end an account of every accepted event against what the fake providers received.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Client, until};

/// How much is posted, and how often the process is killed.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Events.
    pub events: usize,
    /// Recipients of each, on three channels.
    pub recipients: usize,
    /// Posts under way at a time.
    pub posters: usize,
    /// How long the posting takes at least: what is to be killed again and again must live so long.
    pub spread: Duration,
    /// SIGKILL this long after each start, while there is something to post; none to let it live.
    pub kill_every: Option<Duration>,
    /// No kills after so many. A message that was in flight at 20 kills goes to its dead-letter queue, as it should.
    pub most_kills: usize,
    /// How many of the provider calls are lost before they are accepted, and as many after.
    pub lost_percent: u32,
}

/// How long a delivery in doubt waits for a receipt when calls are lost: longer than any receipt takes to be worked,
/// also across a kill, and short enough to be waited for.
const GRACE_S: u32 = 10;

/// After so long the sweep looks again at what it has queued. A process that is killed between the write and the queue
/// leaves such a delivery behind.
const LOST_MESSAGE: Duration = Duration::from_mins(15);

/// What came of it.
#[derive(Debug)]
pub struct Account {
    /// Accepted events.
    pub events: usize,
    /// Their deliveries.
    pub deliveries: usize,
    /// Deliveries by state.
    pub states: BTreeMap<String, usize>,
    /// How often the process was killed.
    pub kills: usize,
    /// Deliveries that were sent again because nobody knew whether they had been accepted.
    pub resent: usize,
    /// From the first post to the last settled delivery.
    pub took: Duration,
    /// Everything that should not be: losses, silent duplicates.
    pub faults: Vec<String>,
}

/// The binary that the workspace builds beside this one.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn carillon() -> PathBuf {
    let here = std::env::current_exe().expect("the path of this program");
    let folders = here.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("carillon")).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `carillon` beside {}; run `cargo build --workspace` first", here.display())
    })
}

/// `carillon dev` as a process; killed when dropped.
pub struct DevProcess {
    child: Child,
    /// The content of its ready file.
    pub ready: Value,
}

impl DevProcess {
    /// Starts it on a data folder and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start(folder: &Path, listen: &str) -> Self {
        let ready_file = folder.join("ready.json");
        if ready_file.exists() {
            std::fs::remove_file(&ready_file).expect("an old ready file goes");
        }
        let mut child = Command::new(carillon())
            .args(["dev", "--listen", listen, "--data"])
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready_file)
            .stdout(Stdio::null())
            .spawn()
            .expect("carillon starts");
        let ready = until("the ready file", async || {
            assert!(child.try_wait().expect("a process").is_none(), "carillon dev ended before it was ready");
            serde_json::from_slice(&std::fs::read(&ready_file).ok()?).ok()
        })
        .await;
        Self { child, ready }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself; then there is nothing to kill and only its number to collect.
        if self.child.kill().is_err() {
            eprintln!("carillon dev had ended before it was killed");
        }
        self.child.wait().expect("the process is collected");
    }

    /// A client with one of its keys.
    #[must_use]
    pub fn client(&self, key: &str) -> Client {
        Client::new(
            self.ready["url"].as_str().unwrap_or_default(),
            self.ready[key].as_str().unwrap_or_default(),
        )
    }
}

impl Drop for DevProcess {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Runs a load in a folder that is empty or absent, and accounts for it.
pub async fn run(load: Load, folder: &Path) -> Account {
    std::fs::create_dir_all(folder).expect("a folder");
    let first = DevProcess::start(folder, "127.0.0.1:0").await;
    configure(&first.client("admin_key"), load.recipients).await;
    if load.lost_percent > 0 {
        let grace = json!({"in_doubt": {"grace_s": {"whatsapp": GRACE_S, "email": GRACE_S}}});
        let set = first.client("admin_key").put("/v1/system/settings", &grace).await;
        assert_eq!(set.status, 200, "{set:?}");
    }
    lose(&first, load.lost_percent).await;
    let address = first.ready["url"].as_str().unwrap_or_default().trim_start_matches("http://").to_owned();
    let producer = first.client("api_key");
    let started = Instant::now();
    let posting = tokio::spawn(post_all(producer, load));
    let mut process = first;
    let mut kills = 0;
    if let Some(every) = load.kill_every {
        // At least one kill, and none after everything is posted, so that the end can be waited for.
        loop {
            tokio::time::sleep(every).await;
            process.kill();
            kills += 1;
            process = DevProcess::start(folder, &address).await;
            lose(&process, load.lost_percent).await;
            if posting.is_finished() || kills >= load.most_kills {
                break;
            }
        }
    }
    let accepted = posting.await.expect("everything is posted");
    let admin = process.client("admin_key");
    let deliveries = settle(&admin, &accepted, load).await;
    let took = started.elapsed();
    let outbox = admin.get("/dev/outbox.json").await.body["items"].as_array().cloned().unwrap_or_default();
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in &deliveries {
        *states.entry(delivery["state"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let resent = deliveries.iter().filter(|d| d["resends"].as_u64().unwrap_or(0) > 0).count();
    let faults = faults(&load, &accepted, &deliveries, &outbox);
    Account { events: accepted.len(), deliveries: deliveries.len(), states, kills, resent, took, faults }
}

/// Lets the fakes lose calls. They forget it with the process.
async fn lose(process: &DevProcess, percent: u32) {
    if percent > 0 {
        let share = f64::from(percent) / 100.0;
        let lossy = json!({"lose_request": share, "lose_answer": share});
        let both = json!({"whatsapp": lossy, "email": lossy});
        assert_eq!(process.client("admin_key").post("/dev/faults", &both).await.status, 200);
    }
}

async fn configure(admin: &Client, recipients: usize) {
    let names: Vec<String> = (0..recipients).map(|i| format!("r-{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let person =
            json!({"name": name, "email": format!("{name}@example.com"), "phone": format!("+1202555{i:04}")});
        assert_eq!(admin.put(&format!("/v1/recipients/{name}"), &person).await.status, 201);
    }
    assert_eq!(admin.put("/v1/groups/all", &json!({"members": names})).await.status, 201);
    assert_eq!(admin.put("/v1/templates/order?publish=true", &crate::order_template()).await.status, 201);
    let route = json!({"audience": {"groups": ["all"]}, "template": "order", "channels": ["whatsapp", "email", "in_app"]});
    assert_eq!(admin.put("/v1/routes/order.created", &route).await.status, 201);
}

/// Posts every event until it is accepted, also while the process is down. Answers the event ids.
async fn post_all(producer: Client, load: Load) -> Vec<String> {
    let Load { events, posters, .. } = load;
    let posts = u32::try_from(events.div_ceil(posters)).unwrap_or(u32::MAX).max(1);
    let lanes = (0..posters).map(|lane| {
        let producer = producer.clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for number in (lane..events).step_by(posters) {
                let number = number.to_string();
                let event = json!({"type": "order.created", "source": "load", "id": number, "data": {"number": number}});
                ids.push(accepted(&producer, &event).await);
                tokio::time::sleep(load.spread / posts).await;
            }
            ids
        })
    });
    let mut ids = Vec::new();
    for lane in lanes.collect::<Vec<_>>() {
        ids.extend(lane.await.expect("a lane of posts"));
    }
    ids
}

/// Posts an event until it is accepted. Answers its id.
async fn accepted(producer: &Client, event: &Value) -> String {
    let start = Instant::now();
    loop {
        match producer.try_post("/v1/events", event).await {
            Some(answer) if answer.status == 202 => {
                return answer.body["event_id"].as_str().unwrap_or_default().to_owned();
            }
            Some(answer) if answer.status < 500 => panic!("the event is refused: {answer:?}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert!(start.elapsed() < crate::PATIENCE, "waited in vain for an event to be accepted");
    }
}

/// Waits until nothing moves any more: every delivery is delivered, or parked in doubt; when no call is lost, also one
/// that is in doubt and whose grace is too long to be waited for; and when the process is killed, and the fake providers
/// with it, one that is sent and whose receipt they have forgotten.
async fn settle(admin: &Client, accepted: &[String], load: Load) -> Vec<Value> {
    let rests = |d: &Value| {
        let parked = d["state"] == "in_doubt" && d["reason"] == "parked";
        let forgotten = d["state"] == "sent" && load.kill_every.is_some();
        d["state"] == "delivered"
            || parked
            || forgotten
            || (d["state"] == "in_doubt" && load.lost_percent == 0)
    };
    let patience = load.kill_every.map_or(crate::PATIENCE, |_| LOST_MESSAGE + crate::PATIENCE);
    let mut all = Vec::new();
    for id in accepted {
        let start = Instant::now();
        let path = format!("/v1/events/{id}/deliveries?limit=200");
        loop {
            let items = admin.get(&path).await.body["items"].as_array().cloned().unwrap_or_default();
            let event = admin.get(&format!("/v1/events/{id}")).await.body;
            let planned = event["planned"].as_u64() == u64::try_from(items.len()).ok();
            let moving: Vec<&Value> = items.iter().filter(|d| !rests(d)).collect();
            if planned && moving.is_empty() {
                all.extend(items);
                break;
            }
            assert!(start.elapsed() < patience, "an event does not come to rest: {event} {moving:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    all
}

/// What should not be, by the account of the deliveries and of the providers.
fn faults(load: &Load, accepted: &[String], deliveries: &[Value], outbox: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut received: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for item in outbox {
        let token = item["token"].as_str().unwrap_or_default();
        let (id, call) = token.rsplit_once('-').unwrap_or((token, "0"));
        received.entry(id.to_owned()).or_default().push(call.parse().unwrap_or_default());
    }
    let mut ids = accepted.to_vec();
    ids.sort();
    ids.dedup();
    if ids.len() != load.events {
        faults.push(format!("{} events were posted and {} accepted", load.events, ids.len()));
    }
    let expected = load.events * load.recipients * 3;
    if deliveries.len() != expected {
        faults.push(format!("{} deliveries instead of {expected}", deliveries.len()));
    }
    for delivery in deliveries.iter().filter(|d| d["channel"] != "in_app") {
        let id = delivery["id"].as_str().unwrap_or_default();
        let (state, attempts) =
            (delivery["state"].as_str().unwrap_or_default(), delivery["attempts"].as_u64());
        let mut calls = received.remove(id).unwrap_or_default();
        calls.sort_unstable();
        if state == "delivered" && calls.is_empty() {
            faults.push(format!("{id} is delivered and its provider knows nothing of it"));
        }
        if state == "in_doubt" && load.lost_percent > 0 && load.kill_every.is_none() && !calls.is_empty() {
            faults.push(format!("{id} is still in doubt, and its provider said what became of it"));
        }
        if calls.windows(2).any(|pair| pair[0] == pair[1]) {
            faults.push(format!("{id}: one call reached the provider twice: {calls:?}"));
        }
        let marked = delivery["resends"].as_u64().unwrap_or(0) + 1;
        if calls.len() as u64 > marked || calls.last().copied() > attempts {
            faults.push(format!(
                "{id}: a silent duplicate: calls {calls:?}, attempts {attempts:?}, marked {marked}"
            ));
        }
    }
    faults.extend(received.keys().map(|id| format!("the provider received {id}, which nobody planned")));
    faults
}
