//! One tenant and one recipient on the in-memory model, with a clock that a test moves, queues that can refuse, and a
//! provider that answers what it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carillon_channels::whatsapp::errors;
use carillon_channels::{MinijinjaRenderer, email};
use carillon_domain::ids::HashKey;
use carillon_domain::{
    Channel, Delivery, KeyKind, Principal, ReceiptKind, Scope, TenantId, Timestamp, Token,
};
use carillon_local::model::ModelTable;
use carillon_local::secrets::LocalSecrets;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{
    Answer, Call, Clock, Entropy, Meaning, Message, NoSchedules, Provider, Queue, QueueError, Queues,
    Refusal, RefusalClass,
};
use carillon_pipeline::record_receipt::Receipt;
use carillon_pipeline::{DeliveryWork, EventWork, Pipeline, WorkError};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The clock, queues and provider of a test.
pub struct World {
    pub pipeline: Pipeline,
    pub tenant: TenantId,
    pub provider: Scripted,
    pub queues: Arc<Faulty>,
    pub table: Arc<ModelTable>,
    clock: Arc<Hand>,
}

impl World {
    /// A tenant whose `order.created` tells Ada by WhatsApp, through a provider that answers like this.
    pub async fn new(answer: Script) -> Self {
        let route = json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": ["whatsapp"]});
        Self::routed(answer, route).await
    }

    /// The same with another route.
    pub async fn routed(answer: Script, route: Value) -> Self {
        let (table, queues) = (Arc::new(ModelTable::new()), Arc::new(Faulty::default()));
        let clock = Arc::new(Hand(AtomicI64::new(1_795_000_000_000)));
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
        let acme = json!({"id": "acme", "name": "Acme", "locale": "en", "time_zone": "UTC", "region": "US"});
        pipeline.put_tenant(&serde_json::from_value(acme).unwrap()).await.unwrap();
        let whatsapp = json!({"phone_number_id": "100000000000001", "token": "a token"});
        pipeline.configure_channel(&tenant, Channel::Whatsapp, whatsapp).await.unwrap();
        let ada = json!({"name": "Ada", "phone": "+12025550117", "email": "ada@example.com"});
        pipeline.configure_recipient(&tenant, &"ada".parse().unwrap(), ada).await.unwrap();
        let texts = json!({"locales": {"en": {
            "whatsapp": {"template": {"name": "order", "language": "en", "parameters": ["{{ data.number }}"]}},
            "email": {"subject": "Order {{ data.number }}", "html": "<p>{{ data.number }}</p>"},
            "in_app": {"title": "Order", "body": "{{ data.number }}"}
        }}});
        pipeline.configure_template(&tenant, &"order".parse().unwrap(), texts, true).await.unwrap();
        pipeline.configure_route(&tenant, &"order.created".parse().unwrap(), route).await.unwrap();
        let email = json!({"from": "Acme <notifications@example.com>"});
        pipeline.configure_channel(&tenant, Channel::Email, email).await.unwrap();
        let provider = Scripted { answer: Mutex::new(answer), calls: Mutex::default(), told: Notify::new() };
        Self { pipeline, tenant, provider, queues, table, clock }
    }

    /// Posts an order.
    pub async fn accept(&self) {
        self.accept_numbered("1").await;
    }

    /// Posts an order with an id of its own.
    pub async fn accept_numbered(&self, id: &str) {
        let body = json!({"type": "order.created", "source": "s", "id": id, "data": {"number": "A-1"}});
        self.pipeline.accept(&self.caller(), body, None).await.unwrap();
    }

    /// Whoever posts, cancels and switches.
    pub fn caller(&self) -> Principal {
        Principal {
            tenant: self.tenant.clone(),
            key_id: "key".to_owned(),
            key_kind: KeyKind::Live,
            scopes: vec![Scope::EventsWrite, Scope::Manage],
        }
    }

    /// Lets failed calls wait for minutes, so that no worker sleeps through them.
    pub async fn wait_long(&self) {
        let slow = json!({"tries": 3, "base_ms": 600_000, "factor": 1, "cap_ms": 600_000});
        let settings = json!({"retry": {"whatsapp": slow, "email": slow}});
        self.pipeline.configure_settings(&self.tenant, settings).await.unwrap();
    }

    /// Posts an order and works it until its first call is made.
    pub async fn sent_once(&self) {
        self.accept().await;
        self.fan_out().await.unwrap();
        self.deliver().await;
    }

    /// How many messages wait on a queue.
    pub fn queued(&self, queue: Queue) -> usize {
        self.queues.messages.lock().unwrap().get(&queue).map_or(0, Vec::len)
    }

    /// How many deliveries the event counts.
    pub fn planned(&self) -> u64 {
        let items = self.table.items();
        let (_, plan) = items.into_iter().find(|(key, _)| key.sk() == "PLAN").expect("a plan");
        plan["planned"].as_u64().unwrap()
    }

    /// Whether the whole channel waits.
    pub fn channel_is_paused(&self) -> bool {
        self.table.items().iter().any(|(key, _)| key.pk() == "T#acme" && key.sk() == "PAUSE#whatsapp")
    }

    /// Works what is on the events queue.
    pub async fn fan_out(&self) -> Result<(), WorkError> {
        for message in self.queues.take(Queue::Events) {
            let work: EventWork = serde_json::from_str(&message.body).unwrap();
            let worked = self.pipeline.fan_out(&work).await;
            if worked.is_err() {
                self.queues.put_back(Queue::Events, message);
            }
            worked?;
        }
        Ok(())
    }

    /// Works what is on the whatsapp queue, each message once.
    pub async fn deliver(&self) {
        self.deliver_from(Queue::Whatsapp).await;
    }

    /// Works what is on a channel's queue, each message once.
    pub async fn deliver_from(&self, queue: Queue) {
        for message in self.queues.take(queue) {
            let work: DeliveryWork = serde_json::from_str(&message.body).unwrap();
            for delivered in self.pipeline.deliver(&self.provider, &[work]).await {
                delivered.unwrap();
            }
        }
    }

    /// Lets time pass, then sweeps and delivers.
    pub async fn later(&self, seconds: i64) {
        self.swept_later(seconds).await;
        self.deliver().await;
    }

    /// Lets time pass, then sweeps.
    pub async fn swept_later(&self, seconds: i64) {
        self.pass(seconds);
        self.pipeline.sweep_due().await.unwrap();
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    /// Lets Ada have this address, or these, and no other.
    pub async fn ada_has(&self, addresses: Value) {
        let mut ada = addresses;
        ada["name"] = json!("Ada");
        self.pipeline.configure_recipient(&self.tenant, &"ada".parse().unwrap(), ada).await.unwrap();
    }

    /// Records a receipt about one of the calls.
    pub async fn receive(&self, kind: ReceiptKind, call: u32) {
        let receipt = Receipt {
            token: Token { delivery: self.delivery().id, call },
            kind,
            at: self.clock.now(),
            provider_message_id: None,
            code: Some("131026".to_owned()),
            detail: None,
            meaning: None,
            address: None,
            pricing: None,
        };
        self.pipeline.record_receipt(&self.tenant, &receipt).await.unwrap();
    }

    /// Records that Meta says, later, that the first call's message failed with this code.
    pub async fn fail_later(&self, code: i64) {
        let receipt = Receipt {
            token: Token { delivery: self.delivery().id, call: 1 },
            kind: ReceiptKind::Failed,
            at: self.clock.now(),
            provider_message_id: None,
            code: Some(code.to_string()),
            detail: None,
            meaning: Some(errors::later_meaning(code)),
            address: None,
            pricing: None,
        };
        self.pipeline.record_receipt(&self.tenant, &receipt).await.unwrap();
    }

    /// The WhatsApp delivery.
    pub fn delivery(&self) -> Delivery {
        self.delivery_on(Channel::Whatsapp).expect("a delivery")
    }

    /// The delivery on a channel, if there is one.
    pub fn delivery_on(&self, channel: Channel) -> Option<Delivery> {
        let items = self.table.items().into_iter().filter(|(key, _)| key.sk().starts_with("D#"));
        let mut deliveries =
            items.map(|(_, item)| serde_json::from_value::<Delivery>(Value::Object(item)).unwrap());
        deliveries.find(|delivery| delivery.channel == channel)
    }

    /// How many items of the table have a sort key that begins like this.
    pub fn items(&self, beginning: &str) -> usize {
        self.table.items().iter().filter(|(key, _)| key.sk().starts_with(beginning)).count()
    }

    /// Its state, with its reason.
    pub fn state(&self) -> String {
        self.state_on(Channel::Whatsapp)
    }

    /// The state of the delivery on a channel, with its reason.
    pub fn state_on(&self, channel: Channel) -> String {
        let state = self.delivery_on(channel).expect("a delivery").state;
        state.reason().map_or(state.kind().to_string(), |reason| format!("{}({reason})", state.kind()))
    }

    /// How often the provider was called.
    pub fn calls(&self) -> usize {
        self.provider.calls.lock().unwrap().len()
    }
}

/// What the provider answers from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Accept,
    LoseTheAnswer,
    AskToWait(u32),
    Refuse(i64),
    /// The same, when the test says so.
    RefuseWhenTold(i64),
    /// SES's error with this code, these words and this status.
    RefuseEmail(&'static str, &'static str, u16),
    NeverReturn,
}

/// A provider that answers by its script and remembers its calls.
pub struct Scripted {
    answer: Mutex<Script>,
    calls: Mutex<Vec<String>>,
    /// What [`Script::RefuseWhenTold`] waits for.
    pub told: Notify,
}

impl Scripted {
    pub fn now(&self, answer: Script) {
        *self.answer.lock().unwrap() = answer;
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn call(&self, call: &Call<'_>) -> Answer {
        self.calls.lock().unwrap().push(call.token.to_string());
        let script = *self.answer.lock().unwrap();
        match script {
            Script::Accept => Answer::Accepted { message_id: "wamid.1".to_owned() },
            Script::LoseTheAnswer => Answer::Unknown { detail: "reset".to_owned() },
            Script::AskToWait(seconds) => Answer::Refused(Refusal {
                meaning: Meaning::of(RefusalClass::Throttle),
                http_status: 400,
                code: "130429".to_owned(),
                trace_id: None,
                detail: "too fast".to_owned(),
                retry_after_s: Some(seconds),
            }),
            Script::Refuse(code) => refused(errors::meaning(code, 400, false), 400, &code.to_string()),
            Script::RefuseWhenTold(code) => {
                self.told.notified().await;
                refused(errors::meaning(code, 400, false), 400, &code.to_string())
            }
            Script::RefuseEmail(code, words, status) => {
                refused(email::errors::meaning(code, words, status), status, code)
            }
            Script::NeverReturn => std::future::pending().await,
        }
    }
}

fn refused(meaning: Meaning, http_status: u16, code: &str) -> Answer {
    Answer::Refused(Refusal {
        meaning,
        http_status,
        code: code.to_owned(),
        trace_id: None,
        detail: "no".to_owned(),
        retry_after_s: None,
    })
}

/// Queues that refuse while they are told to.
#[derive(Default)]
pub struct Faulty {
    messages: Mutex<BTreeMap<Queue, Vec<Message>>>,
    pub refusing: Mutex<Vec<Queue>>,
}

impl Faulty {
    pub fn take(&self, queue: Queue) -> Vec<Message> {
        self.messages.lock().unwrap().remove(&queue).unwrap_or_default()
    }

    pub fn put_back(&self, queue: Queue, message: Message) {
        self.messages.lock().unwrap().entry(queue).or_default().push(message);
    }
}

#[async_trait]
impl Queues for Faulty {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        if self.refusing.lock().unwrap().contains(&queue) {
            return Err(QueueError { queue, reason: "out of order".to_owned() });
        }
        self.messages.lock().unwrap().entry(queue).or_default().extend(messages);
        Ok(())
    }
}

struct Hand(AtomicI64);

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }

    /// Whoever sleeps moves the clock on.
    async fn sleep_until(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millisecond(), Ordering::Relaxed);
    }
}

/// No two fillings are alike.
struct Counting(AtomicI64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let bytes = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (to, from) in buffer.iter_mut().rev().zip(bytes.iter().rev().cycle()) {
            *to = *from;
        }
        // The first bits make jitter a large part of its bound.
        if let Some(first) = buffer.first_mut() {
            *first |= 0xc0;
        }
    }
}
