//! A fake of Amazon SES v2: `POST /v2/email/outbound-emails`, as aws-sdk-sesv2 calls it from deliver-email. Accepted
//! emails go to the outbox; their events go to a sink as EventBridge would deliver them, for the receipts queue. Facts:
//! Amazon SES API v2 and developer guide (November 2026).

mod events;
mod request;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::post;
use carillon_domain::Channel;
use carillon_pipeline::ports::{Clock, Entropy};
use data_encoding::HEXLOWER;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::sync::watch;

use self::request::{Email, SesError};
use super::faults::Troubles;
use super::receipts::{Post, Receipts};
use super::{Delays, random_bytes};
use crate::answer;
use crate::journal::{Journal, chain};
use crate::outbox::OutboxItem;

/// Takes an event record as EventBridge delivers it. An error makes the fake offer the event again.
pub type EventSink = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// SES takes 40 MB after base64.
const MAX_BODY_BYTES: usize = 40 * 1024 * 1024;

/// The tag that carries the token of a provider call.
const TOKEN_TAG: &str = "carillon";

/// The fake SES. [`FakeSes::router`] takes emails; [`FakeSes::post_receipts`] must run beside it.
pub struct FakeSes {
    receipts: Receipts,
    entropy: Arc<dyn Entropy>,
    sink: EventSink,
    delays: Delays,
}

impl FakeSes {
    /// A fake on this journal that hands its events to this sink.
    #[must_use]
    pub fn new(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        sink: EventSink,
        delays: Delays,
    ) -> Arc<Self> {
        Arc::new(Self { receipts: Receipts::new(journal, clock, Channel::Email), entropy, sink, delays })
    }

    /// The API, with paths from the root of its endpoint URL.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/v2/email/outbound-emails", post(send))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Arc::clone(self))
    }

    /// What goes wrong here, and how this provider refuses.
    pub(crate) fn troubles(&self) -> Troubles {
        Troubles { switch: Arc::clone(self.receipts.switch()), refusing }
    }

    /// Hands over events as they fall due until `shutdown` is true or its sender is gone. An event that the sink does
    /// not take is offered again, also after a restart.
    pub async fn post_receipts(self: Arc<Self>, shutdown: watch::Receiver<bool>) {
        let sink = Arc::clone(&self.sink);
        let post: Post =
            Box::new(move |events| Box::pin(join_all(events.into_iter().map(|event| sink(event)))));
        self.receipts.run(shutdown, post).await;
    }

    /// Makes the email durable, and only then answers with its message id.
    async fn accept(&self, email: Email) -> Result<String, SesError> {
        let message_id = format!("0100{}-000000", HEXLOWER.encode(&random_bytes::<16>(&*self.entropy)));
        let received_at = self.receipts.now();
        let event_id = || HEXLOWER.encode(&random_bytes::<16>(&*self.entropy));
        let events = events::of(&email, &message_id, received_at, &self.delays, event_id);
        let item = OutboxItem {
            id: 0,
            channel: Channel::Email,
            to: email.to.join(", "),
            subject: Some(email.subject),
            text: email.text.unwrap_or_default(),
            html: email.html,
            template: None,
            token: email.tags.into_iter().find(|(name, _)| name == TOKEN_TAG).map(|(_, value)| value),
            headers: email.headers.into_iter().collect(),
            received_at,
        };
        self.receipts.accept(item, events).await.map_err(|error| {
            tracing::error!(error = %chain(&error), "the fake SES could not record an email");
            SesError::internal()
        })?;
        Ok(message_id)
    }
}

async fn send(State(fake): State<Arc<FakeSes>>, body: Bytes) -> Response {
    let answer = match request::parse(&body) {
        Ok(email) => fake.accept(email).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(message_id) => answer::json(StatusCode::OK, &json!({"MessageId": message_id})),
        Err(error) => refused(&error),
    }
}

/// SES's answer with an error's name.
fn refusing(code: &Value) -> Response {
    refused(&SesError::of_name(code.as_str().unwrap_or_default()))
}

fn refused(error: &SesError) -> Response {
    let mut response = answer::json(error.status, &json!({"message": error.message}));
    let name = HeaderName::from_static("x-amzn-errortype");
    match HeaderValue::from_str(&error.kind) {
        Ok(kind) => response.headers_mut().insert(name, kind),
        Err(error) => {
            tracing::error!(%error, "an error of SES has no name");
            None
        }
    };
    response
}
