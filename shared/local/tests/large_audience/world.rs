//! A tenant with one large group and one route to it on all channels, on the watched model.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_domain::{GroupName, KeyKind, Principal, RecipientId, Scope, TenantId, Timestamp};
use carillon_local::model::{Operation, Tally};
use carillon_local::secrets::LocalSecrets;
use carillon_pipeline::Pipeline;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{Clock, Entropy, NoSchedules};
use serde_json::json;

use crate::HEAP;
use crate::watched::{Ports, Seen, Watched};

/// The pipeline and what it runs on.
pub struct World {
    ports: Arc<Watched>,
    pipeline: Pipeline,
    tenant: TenantId,
    group: GroupName,
    size: usize,
}

/// A member's id.
pub fn id(number: usize) -> RecipientId {
    format!("p-{number:06}").parse().unwrap()
}

impl World {
    /// A group of so many people, each with an address on each channel.
    pub async fn with_group_of(size: usize) -> Self {
        let ports = Arc::new(Watched::default());
        let pipeline = Pipeline {
            table: Arc::new(Ports(Arc::clone(&ports))),
            queues: Arc::new(Ports(Arc::clone(&ports))),
            secrets: Arc::new(LocalSecrets::in_memory()),
            renderer: Arc::new(MinijinjaRenderer::new()),
            clock: Arc::new(Noon),
            entropy: Arc::new(Sevens),
            hash_key: HashKey::from_bytes(b"not a secret"),
            leases_void_before: None,
            pace: Pace::Off,
            schedules: Arc::new(NoSchedules),
            public_url: None,
            remembered: Remembered::default(),
        };
        let (tenant, group) = ("acme".parse().unwrap(), "Everybody".parse().unwrap());
        let world = Self { ports, pipeline, tenant, group, size };
        world.configure().await;
        world.fill().await;
        world
    }

    async fn configure(&self) {
        let (pipeline, tenant) = (&self.pipeline, &self.tenant);
        let acme = json!({"id": tenant, "name": "Acme", "locale": "en", "time_zone": "UTC", "region": "US"});
        pipeline.put_tenant(&serde_json::from_value(acme).unwrap()).await.unwrap();
        let texts = json!({"locales": {"en": {
            "whatsapp": {"template": {"name": "news", "language": "en", "parameters": ["{{ data.number }}"]}},
            "email": {"subject": "News {{ data.number }}", "html": "<p>Hello {{ recipient.name }}</p>"},
            "in_app": {"title": "News {{ data.number }}", "body": "Hello {{ recipient.name }}"}
        }}});
        let texts = serde_json::from_value(texts).unwrap();
        pipeline.put_template(tenant, &"news".parse().unwrap(), &texts, true).await.unwrap();
        let channels = ["whatsapp", "email", "in_app"];
        let route = json!({"audience": {"groups": [self.group]}, "template": "news", "channels": channels});
        let route = serde_json::from_value(route).unwrap();
        pipeline.put_route(tenant, &"news".parse().unwrap(), &route).await.unwrap();
        pipeline.configure_group(tenant, &self.group, json!({})).await.unwrap();
    }

    async fn fill(&self) {
        let ids: Vec<RecipientId> = (0..self.size).map(id).collect();
        for (number, id) in ids.iter().enumerate() {
            let person = json!({
                "name": format!("Person {number:06}"), "email": format!("{id}@example.com"), "locale": "en",
                // There are not enough numbers that are nobody's.
                "bsuid": format!("US.{number:015}"),
            });
            let person = serde_json::from_value(person).unwrap();
            self.pipeline.put_recipient(&self.tenant, id, &person).await.unwrap();
        }
        for some in ids.chunks(1_000) {
            self.pipeline.change_members(&self.tenant, &self.group, some, &[]).await.unwrap();
        }
    }

    /// Posts an event and works the events queue until it is empty.
    pub async fn fan_out_to_the_end(&self) -> Measured {
        let caller = Principal {
            tenant: self.tenant.clone(),
            key_id: "key".to_owned(),
            key_kind: KeyKind::Live,
            scopes: vec![Scope::EventsWrite],
        };
        let body = json!({"type": "news", "source": "shop", "id": "event-1", "data": {"number": "A-1001"}});
        let event = self.pipeline.accept(&caller, body, None).await.unwrap().event_id;
        drop((self.ports.table.take_tally(), self.ports.take()));
        let (started, mut calls, mut peak) = (Instant::now(), 0, 0);
        while let Some(work) = self.ports.next_event() {
            let before = HEAP.current_usage();
            HEAP.reset_peak_usage();
            self.pipeline.fan_out(&work).await.unwrap();
            peak = peak.max(HEAP.peak_usage() - before);
            calls += 1;
        }
        let (took, spent) = (started.elapsed(), self.ports.table.take_tally());
        // There is a plan only when all parts are done.
        let plan = self.pipeline.event_plan(&self.tenant, &event).await.unwrap().unwrap();
        let seen = self.ports.take();
        Measured { size: self.size, planned: plan.planned, took, calls, spent, peak, seen }
    }

    /// A page of the group's members, and where the next begins.
    pub async fn members(&self, limit: usize, after: Option<String>) -> (Vec<RecipientId>, Option<String>) {
        self.pipeline.members(&self.tenant, &self.group, limit, after).await.unwrap()
    }

    /// How many members the group has.
    pub async fn count_members(&self) -> usize {
        self.pipeline.count_members(&self.tenant, &self.group).await.unwrap()
    }

    /// Makes these the group's only members.
    pub async fn set_members(&self, members: &[RecipientId]) {
        self.pipeline.set_members(&self.tenant, &self.group, members).await.unwrap();
    }

    /// Removes the group.
    pub async fn delete_group(&self) {
        assert!(self.pipeline.delete_group(&self.tenant, &self.group).await.unwrap());
    }

    /// How many memberships lie in each partition that has any.
    pub fn members_by_partition(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for key in self.ports.table.items().into_keys().filter(|key| key.pk().contains("#MEMBERS#")) {
            *counts.entry(key.pk().to_owned()).or_default() += 1;
        }
        counts
    }
}

/// What fanning out one event took, from its message to its plan.
pub struct Measured {
    /// How many recipients it has.
    pub size: usize,
    /// How many deliveries it came to.
    pub planned: u32,
    /// How long it took.
    took: Duration,
    /// How many messages of the events queue it took.
    calls: usize,
    /// What was spent at the table.
    spent: Tally,
    /// The most bytes that one of the calls had in use beyond those before it, with what the model stores of it.
    pub peak: usize,
    /// What went through the ports.
    pub seen: Seen,
}

impl Measured {
    /// What has to be paid or waited for, for each recipient.
    pub fn costs(&self) -> [(&'static str, f64); 8] {
        use Operation::{BatchGetItem, GetItem, PutItem, Query, TransactWriteItems, UpdateItem};
        let calls =
            |operations: &[Operation]| operations.iter().map(|o| self.spent.of(*o).calls).sum::<u64>();
        let total = self.spent.total();
        let each = |count: usize| ratio(count, self.size);
        [
            ("writes", ratio(calls(&[PutItem, UpdateItem, TransactWriteItems]), self.size)),
            ("write units", ratio(total.write_units, self.size)),
            ("reads", ratio(calls(&[GetItem, BatchGetItem, Query]), self.size)),
            ("read units", total.read_units / ratio(self.size, 1_usize)),
            ("queue sends", each(self.seen.sends)),
            ("queue messages", each(self.seen.messages)),
            ("queue batches", each(self.seen.batches)),
            ("queue bytes", each(self.seen.bytes)),
        ]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, took) = (self.size, self.took.as_secs_f64());
        let each = took * 1e6 / ratio(size, 1_usize);
        writeln!(f, "{size} recipients: {took:.1} s, {each:.0} ms for each 1,000")?;
        writeln!(
            f,
            "  {} parts, {} calls of fan_out, {} bytes at most",
            self.seen.parts, self.calls, self.peak
        )?;
        for (what, cost) in self.costs() {
            writeln!(f, "  {cost:>9.4} {what} for each recipient")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(count: impl TryInto<u64, Error: fmt::Debug>, by: impl TryInto<u64, Error: fmt::Debug>) -> f64 {
    count.try_into().unwrap() as f64 / by.try_into().unwrap() as f64
}

/// A clock that stands.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-20T12:00:00.123Z".parse().unwrap()
    }
}

/// Random bits of a kind.
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}
