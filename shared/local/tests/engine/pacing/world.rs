//! A tenant with two groups and a route to each by WhatsApp, on the in-memory model; a queue that keeps messages back as
//! SQS does, as many workers as there are messages, a sweep each minute, and a provider that notes when it was called.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_domain::{
    Channel, KeyKind, Principal, Priority, RecipientId, Rendered, Scope, TenantId, Timestamp,
};
use carillon_local::model::ModelTable;
use carillon_local::secrets::LocalSecrets;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{
    Answer, Call, Clock, Entropy, Message, NoSchedules, Provider, Queue, QueueError, Queues,
};
use carillon_pipeline::{DeliveryWork, EventWork, Pipeline};
use serde_json::json;

/// A provider call that was made.
#[derive(Debug, Clone)]
pub struct Called {
    pub at: Timestamp,
    pub template: String,
}

/// The pipeline and what it runs on.
pub struct World {
    pipeline: Pipeline,
    table: Arc<ModelTable>,
    outside: Arc<Outside>,
    tenant: TenantId,
}

impl World {
    /// `Everybody` with so many people, `Few` with ten more.
    pub async fn paced_with_group_of(size: usize) -> Self {
        let (table, outside) = (Arc::new(ModelTable::new()), Arc::new(Outside::default()));
        let pipeline = Pipeline {
            table: table.clone(),
            queues: outside.clone(),
            secrets: Arc::new(LocalSecrets::in_memory()),
            renderer: Arc::new(MinijinjaRenderer::new()),
            clock: outside.clone(),
            entropy: Arc::new(Sevens),
            hash_key: HashKey::from_bytes(b"not a secret"),
            leases_void_before: None,
            pace: Pace::Meta,
            schedules: Arc::new(NoSchedules),
            public_url: None,
            remembered: Remembered::default(),
        };
        let world = Self { pipeline, table, outside, tenant: "acme".parse().unwrap() };
        let (pipeline, tenant) = (&world.pipeline, &world.tenant);
        let acme = json!({"id": tenant, "name": "Acme", "locale": "en", "time_zone": "UTC", "region": "US"});
        pipeline.put_tenant(&serde_json::from_value(acme).unwrap()).await.unwrap();
        let whatsapp = json!({"phone_number_id": "100000000000001", "token": "a token"});
        pipeline.configure_channel(tenant, Channel::Whatsapp, whatsapp).await.unwrap();
        world.group("Everybody", 0..size).await;
        world.group("Few", size..size + 10).await;
        world.spent();
        world
    }

    async fn group(&self, name: &str, members: std::ops::Range<usize>) {
        let (pipeline, tenant) = (&self.pipeline, &self.tenant);
        let group = name.parse().unwrap();
        pipeline.configure_group(tenant, &group, json!({})).await.unwrap();
        let ids: Vec<RecipientId> = members.clone().map(|n| format!("p-{n:06}").parse().unwrap()).collect();
        for (number, id) in members.zip(&ids) {
            // There are not enough numbers that are nobody's.
            let person = json!({"name": "P", "locale": "en", "bsuid": format!("US.{number:015}")});
            let person = serde_json::from_value(person).unwrap();
            pipeline.put_recipient(tenant, id, &person).await.unwrap();
        }
        for some in ids.chunks(1_000) {
            pipeline.change_members(tenant, &group, some, &[]).await.unwrap();
        }
    }

    /// Another rate, for both lanes together.
    pub async fn rate(&self, per_s: u32) {
        let pacing = json!({"pacing": {"whatsapp": {"per_s": per_s}}});
        self.pipeline.configure_settings(&self.tenant, pacing).await.unwrap();
    }

    /// Fills the channel's slots for so long.
    pub async fn pause_for(&self, seconds: u64) {
        let free = (self.now() + Duration::from_secs(seconds)).as_microsecond();
        for lane in ["urgent", "normal"] {
            let key = carillon_pipeline::ports::Key::read_back(
                format!("T#{}#PACE", self.tenant),
                format!("whatsapp#{lane}"),
            );
            let item = json!({"free_us": free}).as_object().unwrap().clone();
            let put = carillon_pipeline::ports::Write::Put { key, item, only_if: Vec::new() };
            self.pipeline.table.write(put).await.unwrap();
        }
    }

    /// Posts an event to a group, in a template of its own name, and plans it.
    pub async fn fan_out(&self, template: &str, group: &str, priority: Priority) {
        let (pipeline, tenant) = (&self.pipeline, &self.tenant);
        let part = json!({"template": {"name": template, "language": "en", "parameters": []}});
        let texts = json!({"locales": {"en": {"whatsapp": part}}});
        let texts = serde_json::from_value(texts).unwrap();
        pipeline.put_template(tenant, &template.parse().unwrap(), &texts, true).await.unwrap();
        let route = json!({
            "audience": {"groups": [group]}, "template": template, "channels": ["whatsapp"], "priority": priority
        });
        let route = serde_json::from_value(route).unwrap();
        pipeline.put_route(tenant, &template.parse().unwrap(), &route).await.unwrap();
        self.spent();
        let caller = Principal {
            tenant: tenant.clone(),
            key_id: "key".to_owned(),
            key_kind: KeyKind::Live,
            scopes: vec![Scope::EventsWrite],
        };
        let body = json!({"type": template, "source": "shop", "id": template, "data": {}});
        pipeline.accept(&caller, body, None).await.unwrap();
        while let Some(message) = self.outside.take_event() {
            let work: EventWork = serde_json::from_str(&message.body).unwrap();
            pipeline.fan_out(&work).await.unwrap();
        }
    }

    /// Lets time pass: messages when their queue shows them and their slot has come, and a sweep each minute.
    pub async fn run_for(&self, seconds: u64) {
        let end = self.now() + Duration::from_secs(seconds);
        loop {
            let sweep_at = self.outside.with(|state| state.sweep_at);
            let next = self.outside.with(|state| state.waiting.first().map(|(at, _)| *at));
            let at = next.map_or(sweep_at, |next| next.min(sweep_at));
            if at > end {
                break;
            }
            self.outside.move_to(at);
            if at == sweep_at {
                self.outside.with(|state| state.sweep_at += Duration::from_mins(1));
                self.pipeline.sweep_due().await.unwrap();
            } else {
                let (_, work) = self.outside.with(|state| state.waiting.remove(0));
                for worked in self.pipeline.deliver(&*self.outside, &[work]).await {
                    worked.unwrap();
                }
            }
        }
        self.outside.move_to(end);
    }

    /// The calls so far, in order.
    pub fn calls(&self) -> Vec<Called> {
        self.outside.with(|state| state.calls.clone())
    }

    /// The write units since this was last asked.
    pub fn spent(&self) -> u64 {
        self.table.take_tally().total().write_units
    }

    fn now(&self) -> Timestamp {
        self.outside.now()
    }
}

/// Clock, queues and provider.
#[derive(Default)]
struct Outside(Mutex<State>);

struct State {
    now: Timestamp,
    sweep_at: Timestamp,
    events: Vec<Message>,
    /// What workers will take, by the time at which they can call.
    waiting: Vec<(Timestamp, DeliveryWork)>,
    calls: Vec<Called>,
}

impl Default for State {
    fn default() -> Self {
        let now: Timestamp = "2026-11-20T12:00:00.123Z".parse().unwrap();
        let sweep_at = "2026-11-20T12:00:30Z".parse().unwrap();
        Self { now, sweep_at, events: Vec::new(), waiting: Vec::new(), calls: Vec::new() }
    }
}

impl Outside {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn move_to(&self, at: Timestamp) {
        self.with(|state| state.now = state.now.max(at));
    }

    fn take_event(&self) -> Option<Message> {
        self.with(|state| (!state.events.is_empty()).then(|| state.events.remove(0)))
    }
}

#[async_trait]
impl Clock for Outside {
    fn now(&self) -> Timestamp {
        self.with(|state| state.now)
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.move_to(at);
    }
}

#[async_trait]
impl Queues for Outside {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        self.with(|state| {
            if queue == Queue::Events {
                state.events.extend(messages);
                return;
            }
            for message in messages {
                let work: DeliveryWork = serde_json::from_str(&message.body).unwrap();
                let shown = state.now + Duration::from_secs(message.delay_s.into());
                let slot = work.delivery.held_until.unwrap_or(shown);
                // A worker waits for the rest of a second, and for no more.
                assert!(slot < shown + Duration::from_secs(1), "{slot} is long after {shown}");
                state.waiting.push((slot.max(shown), work));
            }
            state.waiting.sort_by_key(|(at, _)| *at);
        });
        Ok(())
    }
}

#[async_trait]
impl Provider for Outside {
    async fn call(&self, call: &Call<'_>) -> Answer {
        let Rendered::WhatsappTemplate { name, .. } = call.message else { panic!("{call:?}") };
        self.with(|state| {
            state.calls.push(Called { at: state.now, template: name.clone() });
            Answer::Accepted { message_id: format!("wamid.{}", state.calls.len()) }
        })
    }
}

/// Random bits of a kind.
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}
