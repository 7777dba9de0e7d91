//! A store that lends equipment, on the in-memory model: the policy of its pack as it is, with short texts; borrowers in
//! three zones; a clock that the test moves; and providers that take everything and remember when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_domain::{Channel, Delivery, KeyKind, Lane, Lanes, Principal, Scope, TenantId, Timestamp};
use carillon_local::model::ModelTable;
use carillon_local::secrets::LocalSecrets;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{
    Answer, Call, Clock, Entropy, Message, NoSchedules, Provider, Queue, QueueError, Queues,
};
use carillon_pipeline::remind::PlannedReminders;
use carillon_pipeline::{DeliveryWork, EventWork, Pipeline};
use serde_json::{Value, json};

/// The zones of the borrowers; the last one has none, so the store's counts for them, which is Paris.
pub const ZONES: [Option<&str>; 4] =
    [Some("Europe/Paris"), Some("America/New_York"), Some("Australia/Lord_Howe"), None];

/// What reached a provider: about which loan, by which template, to whom, when.
pub type Sent = (String, String, String, Timestamp);

/// The store.
pub struct World {
    pub pipeline: Pipeline,
    pub table: Arc<ModelTable>,
    pub sent: Mutex<Vec<Sent>>,
    tenant: TenantId,
    clock: Arc<Hand>,
    queues: Arc<Kept>,
}

impl World {
    /// A store with a borrower in each of [`ZONES`], `b0` to `b3`.
    pub async fn at(now: &str) -> Self {
        let (table, queues) = (Arc::new(ModelTable::new()), Arc::new(Kept::default()));
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let pipeline = Pipeline {
            table: table.clone(),
            queues: queues.clone(),
            secrets: Arc::new(LocalSecrets::in_memory()),
            renderer: Arc::new(MinijinjaRenderer::new()),
            clock: clock.clone(),
            entropy: Arc::new(Counting(AtomicI64::new(0))),
            hash_key: HashKey::from_bytes(b"not a secret"),
            leases_void_before: None,
            pace: Pace::Off,
            schedules: Arc::new(NoSchedules),
            public_url: None,
            remembered: Remembered::default(),
        };
        let tenant: TenantId = "acme".parse().unwrap();
        let world = Self { pipeline, table, sent: Mutex::default(), tenant, clock, queues };
        world.set(now.parse().unwrap());
        world.configure().await;
        drop(world.table.take_tally());
        world
    }

    async fn configure(&self) {
        let (pipeline, tenant) = (&self.pipeline, &self.tenant);
        let acme = json!({"id": "acme", "name": "Acme", "locale": "fr", "time_zone": "Europe/Paris", "region": "FR"});
        pipeline.put_tenant(&serde_json::from_value(acme).unwrap()).await.unwrap();
        let email = json!({"from": "Acme <notifications@example.com>"});
        pipeline.configure_channel(tenant, Channel::Email, email).await.unwrap();
        for (i, zone) in ZONES.iter().enumerate() {
            let person = json!({"name": "Somebody", "email": format!("b{i}@example.com"), "time_zone": zone});
            pipeline.configure_recipient(tenant, &format!("b{i}").parse().unwrap(), person).await.unwrap();
        }
        let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates/loans/reminder-policies.toml");
        let policies: toml::Table = std::fs::read_to_string(text).unwrap().parse().unwrap();
        let mut policy = json!(policies["loan"]);
        for notice in ["on_create", "on_close"] {
            policy[notice]["channels"] = json!(["email"]);
        }
        for reminder in policy["reminders"].as_array_mut().unwrap() {
            reminder["channels"] = json!(["email"]);
        }
        for name in
            ["created", "returned", "overdue", "reminder_2h", "reminder_j2", "reminder_j1", "reminder_final"]
        {
            let texts = json!({"locales": {"fr": {"email": {"subject": "Emprunt", "html": "<p>{{ data.due_at }}</p>"}}}});
            let name = format!("loan_{name}").parse().unwrap();
            pipeline.configure_template(tenant, &name, texts, true).await.unwrap();
        }
        let name = "loan".parse().unwrap();
        pipeline.configure_reminder_policy(tenant, &name, policy).await.unwrap();
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.clock.0.store(now.as_millisecond(), Ordering::SeqCst);
    }

    fn caller(&self) -> Principal {
        Principal {
            tenant: self.tenant.clone(),
            key_id: "key".to_owned(),
            key_kind: KeyKind::Live,
            scopes: vec![Scope::EventsWrite],
        }
    }

    /// Lends something, or changes what is lent.
    pub async fn lend(&self, id: &str, borrower: &str, starts_at: Timestamp, due_at: Timestamp) {
        let body = json!({
            "policy": "loan", "recipients": {"ids": [borrower]}, "starts_at": starts_at, "due_at": due_at,
        });
        self.pipeline.put_deadline(&self.caller(), &id.parse().unwrap(), body).await.unwrap();
    }

    /// Takes it back.
    pub async fn returned(&self, id: &str) {
        self.pipeline.close_deadline(&self.caller(), &id.parse().unwrap(), Value::Null).await.unwrap();
    }

    /// A run of sweep-reminders for some lanes; of all when none is named.
    pub async fn sweep(&self, lanes: &[&str], horizon: Timestamp) -> PlannedReminders {
        let named = lanes.iter().map(|lane| lane.parse::<Lane>().unwrap()).collect();
        let lanes = if lanes.is_empty() { Lanes::All } else { Lanes::These(named) };
        self.pipeline.plan_reminders(&self.tenant, &lanes, horizon).await.unwrap()
    }

    /// When something of the due index is to be moved on.
    pub async fn next_due(&self) -> Option<Timestamp> {
        self.pipeline.next_due().await.unwrap()
    }

    /// Moves on what is due now, and works every queue until it is empty.
    pub async fn settle(&self) {
        loop {
            self.pipeline.sweep_due().await.unwrap();
            let mut idle = true;
            for work in self.queues.take::<EventWork>(Queue::Events) {
                self.pipeline.fan_out(&work).await.unwrap();
                idle = false;
            }
            for work in self.queues.take::<DeliveryWork>(Queue::Email) {
                self.deliver(work).await;
                idle = false;
            }
            if idle {
                return;
            }
        }
    }

    async fn deliver(&self, work: DeliveryWork) {
        let taking = Taking(Mutex::new(0));
        let Delivery { subject, template, recipient_id, .. } = work.delivery.clone();
        for delivered in self.pipeline.deliver(&taking, &[work]).await {
            delivered.unwrap();
        }
        for _ in 0..*taking.0.lock().unwrap() {
            let sent = (
                subject.clone().unwrap(),
                template.as_ref().unwrap().to_string(),
                recipient_id.to_string(),
                self.now(),
            );
            self.sent.lock().unwrap().push(sent);
        }
    }

    /// How the reminders of a loan ended or wait: kind, state and reason.
    pub fn states(&self, id: &str) -> Vec<(String, String, Option<String>)> {
        let mut found: Vec<_> = self
            .table
            .items()
            .into_iter()
            .filter(|(key, item)| key.sk().starts_with("D#") && item["subject"] == id)
            .map(|(_, item)| serde_json::from_value::<Delivery>(Value::Object(item)).unwrap())
            .filter_map(|d| Some((d.reminder.clone()?, d.state.kind().to_string(), d.state.reason())))
            .collect();
        found.sort();
        found
    }
}

/// A clock that stands until it is set.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Random bits that never repeat.
struct Counting(AtomicI64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = count[at % count.len()];
        }
    }
}

/// Keeps what is sent until it is taken.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<Queue, Vec<Message>>>);

impl Kept {
    fn take<T: serde::de::DeserializeOwned>(&self, queue: Queue) -> Vec<T> {
        let messages = self.0.lock().unwrap().remove(&queue).unwrap_or_default();
        messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }
}

#[async_trait]
impl Queues for Kept {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        self.0.lock().unwrap().entry(queue).or_default().extend(messages);
        Ok(())
    }
}

/// A provider that takes every message, and counts.
struct Taking(Mutex<u32>);

#[async_trait]
impl Provider for Taking {
    async fn call(&self, _: &Call<'_>) -> Answer {
        *self.0.lock().unwrap() += 1;
        Answer::Accepted { message_id: "id".to_owned() }
    }
}
