//! What the black-box tests share: an embedded cloud of their own for each test, and a client that speaks HTTP to it.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on ends here, saying why"
)]

pub mod command;
pub mod document;
pub mod load;
pub mod parsers;
pub mod stand_in;

use std::time::{Duration, Instant};

use carillon_local::clock::ClockSetting;
use carillon_local::cloud::{Cloud, Pace, Settings};
use serde_json::{Value, json};

/// How long something that happens by itself may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// An embedded cloud on a free port, gone with the test.
pub struct Dev {
    /// The cloud.
    pub cloud: Cloud,
    /// The client of its first tenant with every scope.
    pub admin: Client,
    /// The client of its first tenant that may post and read.
    pub producer: Client,
}

/// A client with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; null when there is none, a string when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The pointers of a problem's faults.
    #[must_use]
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|e| e["pointer"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Dev {
    /// A cloud on the built-in fake providers.
    pub async fn start() -> Self {
        Self::with(None, None).await
    }

    /// A cloud on the built-in fake providers whose time stands still, at a fixed Friday morning, until
    /// [`Dev::advance`] moves it.
    pub async fn virtual_time() -> Self {
        let start = "2026-11-20T09:00:00Z".parse().expect("an instant");
        Self::of(None, None, ClockSetting::Virtual { start: Some(start) }, Pace::Off).await
    }

    /// The same with channels that are paced.
    pub async fn virtual_time_paced() -> Self {
        let start = "2026-11-20T09:00:00Z".parse().expect("an instant");
        Self::of(None, None, ClockSetting::Virtual { start: Some(start) }, Pace::Meta).await
    }

    /// A cloud on other providers.
    pub async fn with(whatsapp_url: Option<String>, ses_url: Option<String>) -> Self {
        Self::of(whatsapp_url, ses_url, ClockSetting::Real, Pace::Off).await
    }

    async fn of(
        whatsapp_url: Option<String>,
        ses_url: Option<String>,
        clock: ClockSetting,
        pace: Pace,
    ) -> Self {
        let listen = ([127, 0, 0, 1], 0).into();
        let cloud = Cloud::start(Settings { listen, data: None, whatsapp_url, ses_url, clock, pace })
            .await
            .expect("the cloud starts");
        let ready = cloud.ready();
        let http = carillon_runtime::outbound::client().expect("a client");
        let client = |key: &str| Client { http: http.clone(), url: ready.url.clone(), key: key.to_owned() };
        let (admin, producer) = (client(&ready.admin_key), client(&ready.api_key));
        Self { cloud, admin, producer }
    }

    /// Lets virtual time pass. When this returns, everything that was due on the way has happened; zero seconds wait
    /// for what is due now.
    pub async fn advance(&self, seconds: u64) {
        let moved = self.admin.post("/dev/clock", &json!({"advance_s": seconds})).await;
        assert_eq!(moved.status, 200, "{moved:?}");
    }

    /// A recipient, a group of one, a template on all channels, and a route for `order.created` to that group.
    pub async fn with_an_order_route(&self) {
        let ada = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101"});
        assert_eq!(self.admin.put("/v1/recipients/ada", &ada).await.status, 201);
        let group = json!({"description": "Who sells", "members": ["ada"]});
        assert_eq!(self.admin.put("/v1/groups/Sales%20Team", &group).await.status, 201);
        assert_eq!(self.admin.put("/v1/templates/order?publish=true", &order_template()).await.status, 201);
        let route = json!({
            "audience": {"groups": ["Sales Team"]}, "template": "order", "channels": ["whatsapp", "email", "in_app"]
        });
        assert_eq!(self.admin.put("/v1/routes/order.created", &route).await.status, 201);
    }

    /// Posts an event and waits until it is settled. Answers its id.
    pub async fn post_settled(&self, event: &Value) -> String {
        let accepted = self.producer.post("/v1/events", event).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let id = accepted.body["event_id"].as_str().expect("an id").to_owned();
        self.settled(&id).await;
        id
    }

    /// Waits until an event is settled.
    pub async fn settled(&self, id: &str) -> Value {
        let path = format!("/v1/events/{id}");
        until(&path, async || {
            let event = self.admin.get(&path).await.body;
            (event["settled"] == true).then_some(event)
        })
        .await
    }

    /// The deliveries of an event.
    pub async fn deliveries(&self, id: &str) -> Vec<Value> {
        self.admin.get(&format!("/v1/events/{id}/deliveries")).await.body["items"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// The delivery of an event on a channel, once it is in a state.
    pub async fn delivery_in(&self, id: &str, channel: &str, state: &str) -> Value {
        until(&format!("{channel} to be {state}"), async || {
            self.deliveries(id).await.into_iter().find(|d| d["channel"] == channel && d["state"] == state)
        })
        .await
    }

    /// The delivery of an event to a recipient on a channel, once it is in a state.
    pub async fn delivery_to(&self, id: &str, recipient: &Value, channel: &str, state: &str) -> Value {
        until(&format!("{channel} to {recipient} to be {state}"), async || {
            let fits =
                |d: &Value| d["recipient_id"] == *recipient && d["channel"] == channel && d["state"] == state;
            self.deliveries(id).await.into_iter().find(fits)
        })
        .await
    }

    /// What the fake providers received.
    pub async fn outbox(&self) -> Vec<Value> {
        self.admin.get("/dev/outbox.json").await.body["items"].as_array().cloned().unwrap_or_default()
    }
}

/// A template on all channels that uses `data.number`.
#[must_use]
pub fn order_template() -> Value {
    json!({"locales": {"en": {
        "whatsapp": {
            "text": "Order {{ data.number }} came in.",
            "template": {"name": "order_created", "language": "en", "parameters": ["{{ data.number }}"]}
        },
        "email": {"subject": "Order {{ data.number }}", "html": "<p>Hello {{ recipient.name }}, order {{ data.number }} came in.</p>"},
        "in_app": {"title": "Order {{ data.number }}", "body": "It came in."}
    }}})
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time.
pub async fn until<T>(what: &str, asked: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, asked).await
}

/// The same for what may take longer.
///
/// # Panics
/// When there is no answer in time.
pub async fn until_within<T>(patience: Duration, what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = asked().await {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Client {
    /// A client of a running cloud.
    #[must_use]
    pub fn new(url: &str, key: &str) -> Self {
        let http = carillon_runtime::outbound::client().expect("a client");
        Self { http, url: url.to_owned(), key: key.to_owned() }
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, &[], None).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.json("PUT", path, body).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.raw("DELETE", path, &[], None).await
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.raw(method, path, &[("content-type", "application/json")], Some(body.to_string().into_bytes()))
            .await
    }

    /// POST of JSON to a cloud that may be down; none when there is no answer.
    pub async fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        self.try_raw(
            "POST",
            path,
            &[("content-type", "application/json")],
            Some(body.to_string().into_bytes()),
        )
        .await
    }

    /// Any request.
    ///
    /// # Panics
    /// When the cloud cannot be reached.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        self.try_raw(method, path, headers, body).await.expect("the cloud answers")
    }

    async fn try_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Option<Answer> {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.key.is_empty() {
            request = request.bearer_auth(&self.key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Some(Answer { status, body })
    }
}
