//! A tenant with one recipient, one route and one channel, on the in-memory model: the pipeline as it is, between doubles
//! of queues and provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_domain::{
    Channel, Delivery, KeyKind, Principal, ReceiptKind, RecipientKey, Scope, TenantId, Timestamp, Token,
};
use carillon_local::model::{ModelTable, item_size};
use carillon_local::secrets::LocalSecrets;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::fan_out::queue_of;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{
    Answer, Call, Clock, Entropy, Key, Message, NoSchedules, Provider, Queue, QueueError, Queues,
};
use carillon_pipeline::record_receipt::{Receipt, Recorded};
use carillon_pipeline::{DeliveryWork, EventWork, Pipeline};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The names that a delivery's item is made of.
#[derive(Clone)]
pub struct Names {
    tenant: TenantId,
    recipient: String,
    event_type: String,
    subject: String,
    template: String,
}

impl Names {
    /// As producers make them.
    pub fn short() -> Self {
        Self {
            tenant: "acme".parse().unwrap(),
            recipient: "customer-17".to_owned(),
            event_type: "order.created".to_owned(),
            subject: "order-A-1001".to_owned(),
            template: "order-created".to_owned(),
        }
    }

    /// As long as is plausible: 64 characters each, 20 for the tenant's.
    pub fn long() -> Self {
        let long = |start: &str| format!("{start:x<64}");
        Self {
            tenant: "international-trades".parse().unwrap(),
            recipient: long("customer-"),
            event_type: long("order."),
            subject: long("order-"),
            template: long("order-"),
        }
    }
}

/// The pipeline and what it runs on.
pub struct World {
    pub table: Arc<ModelTable>,
    pipeline: Pipeline,
    queues: Arc<Kept>,
    names: Names,
    channel: Channel,
}

impl World {
    /// Everything that an event needs, with nothing spent yet.
    pub async fn with(names: &Names, channel: Channel) -> Self {
        let (table, queues) = (Arc::new(ModelTable::new()), Arc::new(Kept::default()));
        let pipeline = Pipeline {
            table: table.clone(),
            queues: queues.clone(),
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
        let world = Self { table, pipeline, queues, names: names.clone(), channel };
        world.configure().await;
        drop(world.table.take_tally());
        world
    }

    async fn configure(&self) {
        let Names { tenant, recipient, event_type, template, .. } = &self.names;
        let pipeline = &self.pipeline;
        let acme = json!({
            "id": tenant, "name": "Acme", "locale": "en", "time_zone": "UTC", "region": "US"
        });
        pipeline.put_tenant(&serde_json::from_value(acme).unwrap()).await.unwrap();
        let whatsapp = json!({"phone_number_id": "100000000000001", "token": "a token"});
        pipeline.configure_channel(tenant, Channel::Whatsapp, whatsapp).await.unwrap();
        let email = json!({"from": "Acme <notifications@example.com>"});
        pipeline.configure_channel(tenant, Channel::Email, email).await.unwrap();
        let ada = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550117", "locale": "en"});
        let ada = serde_json::from_value(ada).unwrap();
        pipeline.put_recipient(tenant, &recipient.parse().unwrap(), &ada).await.unwrap();
        let texts = json!({"locales": {"en": {
            "whatsapp": {"template": {"name": "order", "language": "en", "parameters": ["{{ data.number }}"]}},
            "email": {"subject": "Order {{ data.number }}", "html": "<p>Hello {{ recipient.name }}</p>"},
            "in_app": {"title": "Order {{ data.number }}", "body": "Hello {{ recipient.name }}"}
        }}});
        let texts = serde_json::from_value(texts).unwrap();
        pipeline.put_template(tenant, &template.parse().unwrap(), &texts, true).await.unwrap();
        let route =
            json!({"audience": {"ids": [recipient]}, "template": template, "channels": [self.channel]});
        let route = serde_json::from_value(route).unwrap();
        pipeline.put_route(tenant, &event_type.parse().unwrap(), &route).await.unwrap();
    }

    /// Posts an event with a page of data.
    pub async fn accept(&self) {
        let caller = Principal {
            tenant: self.names.tenant.clone(),
            key_id: "key".to_owned(),
            key_kind: KeyKind::Live,
            scopes: vec![Scope::EventsWrite],
        };
        let body = json!({
            "specversion": "1.0", "type": self.names.event_type, "source": "shop", "id": "event-1",
            "subject": self.names.subject, "time": "2026-11-20T11:59:58Z",
            "data": {"number": "A-1001", "amount": "120.50", "currency": "EUR", "items": [{"name": "Bell", "count": 2}]}
        });
        self.pipeline.accept(&caller, body, None).await.unwrap();
    }

    /// Works the one message on the events queue.
    pub async fn fan_out(&self) {
        let work: EventWork = self.queues.take(Queue::Events);
        self.pipeline.fan_out(&work).await.unwrap();
    }

    /// Works the one message on the channel's queue. Answers the size of the delivery's item during the call.
    pub async fn deliver(&self) -> usize {
        let work: DeliveryWork = self.queues.take(queue_of(self.channel).unwrap());
        let provider = Accepting { world: self, size: Mutex::new(0) };
        for delivered in self.pipeline.deliver(&provider, &[work]).await {
            delivered.unwrap();
        }
        *provider.size.lock().unwrap()
    }

    /// Records what the provider says about the first call.
    pub async fn receive(&self, kind: ReceiptKind) {
        let receipt = Receipt {
            token: Token { delivery: self.delivery().1.id, call: 1 },
            kind,
            at: Noon.now(),
            provider_message_id: None,
            code: None,
            detail: None,
            meaning: None,
            address: None,
            pricing: None,
        };
        let recorded = self.pipeline.record_receipt(&self.names.tenant, &receipt).await.unwrap();
        assert_ne!(recorded, Recorded::Unmatched);
    }

    /// The same with so many items in the one recipient's feed: that of its delivery is the newest, the others are older and
    /// have no deliveries.
    pub fn with_feed_of(mut self, count: usize) -> Self {
        let mut items = self.table.items();
        let find = |prefix: &str| items.iter().find(|(key, _)| key.sk().starts_with(prefix)).unwrap();
        let ((newest, item), (head, _)) = (find("I#"), find("INBOX"));
        let (pk, at, item, head) = (
            newest.pk().to_owned(),
            newest.sk()[2..15].parse::<usize>().unwrap(),
            item.clone(),
            head.clone(),
        );
        items.get_mut(&head).unwrap().insert("unread".to_owned(), count.into());
        let reader = self.delivery().1.id.recipient().clone();
        for i in 1..count {
            // 26 letters, as an event's id has.
            let event: String =
                format!("{i:026}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            let mut older = item.clone();
            older.insert("id".to_owned(), format!("{reader}-{event}-i").into());
            older.insert("created_at".to_owned(), (at - i).into());
            items.insert(Key::read_back(pk.clone(), format!("I#{:013}#{event}", at - i)), older);
        }
        self.table = Arc::new(ModelTable::holding(items));
        self.pipeline.table = self.table.clone();
        self
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The tenant, and the key of its one recipient.
    pub fn reader(&self) -> (TenantId, RecipientKey) {
        let tenant = self.names.tenant.clone();
        let key = self.pipeline.recipient_key(&tenant, &self.names.recipient.parse().unwrap());
        (tenant, key)
    }

    /// The write units since this was last asked.
    pub fn spent(&self) -> u64 {
        self.table.take_tally().total().write_units
    }

    /// The one delivery, and where it lies.
    pub fn delivery(&self) -> (Key, Delivery) {
        let items = self.table.items();
        let (key, item) = items.into_iter().find(|(key, _)| key.sk().starts_with("D#")).unwrap();
        (key, serde_json::from_value(Value::Object(item)).unwrap())
    }

    /// What its item weighs.
    pub fn delivery_size(&self) -> usize {
        let items = self.table.items();
        let (key, item) = items.iter().find(|(key, _)| key.sk().starts_with("D#")).unwrap();
        item_size(key, item)
    }
}

/// Keeps what is sent until it is taken.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<Queue, Vec<Message>>>);

impl Kept {
    fn take<T: DeserializeOwned>(&self, queue: Queue) -> T {
        let messages = self.0.lock().unwrap().remove(&queue).unwrap_or_default();
        assert_eq!(messages.len(), 1, "on {queue:?}");
        serde_json::from_str(&messages[0].body).unwrap()
    }
}

#[async_trait]
impl Queues for Kept {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), QueueError> {
        self.0.lock().unwrap().entry(queue).or_default().extend(messages);
        Ok(())
    }
}

/// A provider that takes every message, and weighs the delivery's item meanwhile.
struct Accepting<'a> {
    world: &'a World,
    size: Mutex<usize>,
}

#[async_trait]
impl Provider for Accepting<'_> {
    async fn call(&self, call: &Call<'_>) -> Answer {
        assert_eq!(call.token.call, 1);
        *self.size.lock().unwrap() = self.world.delivery_size();
        // As long as Meta's are; those of SES have 60 characters.
        Answer::Accepted { message_id: format!("{:x<80}", "wamid.") }
    }
}

/// A clock that stands at a moment whose milliseconds have every digit.
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
