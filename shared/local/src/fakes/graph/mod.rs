//! A fake of Meta's Graph API: `POST /{version}/{phone-number-id}/messages`, as deliver-whatsapp calls it. Accepted
//! messages go to the outbox; their statuses are posted to the webhook, signed as Meta signs. Facts: Meta,
//! WhatsApp Cloud API, "Send messages" and "Webhooks" (November 2026).

pub(crate) mod inbound;
mod request;
mod template;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use carillon_domain::Channel;
use carillon_pipeline::ports::{Clock, Entropy};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::request::{Content, GraphError, Person, SendRequest};
use super::faults::Troubles;
use super::receipts::{Post, Receipts};
use super::{Delays, random_bytes};
use crate::answer;
use crate::journal::{Journal, JournalError, chain};
use crate::outbox::OutboxItem;

/// What the fake business account looks like and whom it tells.
#[derive(Clone)]
pub struct GraphSettings {
    /// Where statuses are posted.
    pub webhook_url: String,
    /// What they are signed with.
    pub app_secret: String,
    /// The WhatsApp business account, `entry[].id` of each webhook.
    pub waba_id: String,
    /// `metadata.display_phone_number` of each webhook: digits.
    pub display_phone_number: String,
    /// When statuses are posted.
    pub delays: Delays,
}

/// The fake Graph API. [`FakeGraph::router`] takes messages; [`FakeGraph::post_receipts`] must run beside it.
pub struct FakeGraph {
    receipts: Receipts,
    entropy: Arc<dyn Entropy>,
    http: reqwest::Client,
    settings: GraphSettings,
}

impl FakeGraph {
    /// A fake on this journal that posts with this client.
    #[must_use]
    pub fn new(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        http: reqwest::Client,
        settings: GraphSettings,
    ) -> Arc<Self> {
        Arc::new(Self { receipts: Receipts::new(journal, clock, Channel::Whatsapp), entropy, http, settings })
    }

    /// The API, with paths from the root of its base URL.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/{version}/{phone_number_id}/messages", post(send)).with_state(Arc::clone(self))
    }

    /// What goes wrong here, and how this provider refuses.
    pub(crate) fn troubles(&self) -> Troubles {
        Troubles { switch: Arc::clone(self.receipts.switch()), refusing }
    }

    /// Posts statuses as they fall due until `shutdown` is true or its sender is gone. A webhook that does not answer
    /// 200 gets them again, also after a restart.
    pub async fn post_receipts(self: Arc<Self>, shutdown: watch::Receiver<bool>) {
        let (http, settings) = (self.http.clone(), self.settings.clone());
        let post: Post = Box::new(move |statuses| {
            let (http, settings) = (http.clone(), settings.clone());
            Box::pin(async move {
                let answer = webhook::post(&http, &settings, &statuses).await;
                vec![answer; statuses.len()]
            })
        });
        self.receipts.run(shutdown, post).await;
    }

    /// Makes the message durable, and only then answers.
    async fn accept(&self, phone_number_id: &str, request: SendRequest) -> Result<Value, GraphError> {
        let failed = |error: JournalError| {
            tracing::error!(error = %chain(&error), "the fake Graph API could not record a message");
            GraphError::unavailable()
        };
        if matches!(request.content, Content::Text(_))
            && !self.may_say_anything(phone_number_id, &request.to).await.map_err(failed)?
        {
            return Err(GraphError::window_closed());
        }
        let message_id = format!("wamid.{}", BASE64.encode(&random_bytes::<27>(&*self.entropy)));
        let received_at = self.receipts.now();
        let answer = answer_to(&message_id, &request);
        let statuses =
            webhook::statuses(&self.settings.delays, received_at, phone_number_id, &message_id, &request);
        let (text, template) = match request.content {
            Content::Template(template) => (template.readable(), Some(template)),
            Content::Text(text) => (text, None),
        };
        let item = OutboxItem {
            id: 0,
            channel: Channel::Whatsapp,
            to: request.to.input().to_owned(),
            subject: None,
            text,
            html: None,
            template,
            token: request.callback_data,
            headers: BTreeMap::new(),
            received_at,
        };
        self.receipts.accept(item, statuses).await.map_err(failed)?;
        Ok(answer)
    }
}

async fn send(
    State(fake): State<Arc<FakeGraph>>,
    Path((version, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parsed = authorised(&headers).and_then(|()| request::parse(&version, &body));
    let answer = match parsed {
        Ok(request) => fake.accept(&phone_number_id, request).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(body) => answer::json(StatusCode::OK, &body),
        Err(error) => {
            let trace_id = BASE64.encode(&random_bytes::<12>(&*fake.entropy));
            answer::json(error.status, &error.body(&trace_id))
        }
    }
}

/// Meta's answer with an error code.
fn refusing(code: &Value) -> Response {
    let code = code.as_u64().and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
    let error = GraphError::of_code(code);
    answer::json(error.status, &error.body("on-purpose"))
}

fn authorised(headers: &HeaderMap) -> Result<(), GraphError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) if !token.trim().is_empty() => Ok(()),
        _ => Err(GraphError::no_token()),
    }
}

/// The body of a 200.
fn answer_to(message_id: &str, request: &SendRequest) -> Value {
    let contact = match &request.to {
        Person::Phone { input, wa_id } => json!({"input": input, "wa_id": wa_id}),
        Person::Bsuid(bsuid) => json!({"input": bsuid, "user_id": bsuid}),
    };
    let message = match &request.content {
        Content::Template { .. } => json!({"id": message_id, "message_status": "accepted"}),
        Content::Text(_) => json!({"id": message_id}),
    };
    json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})
}
