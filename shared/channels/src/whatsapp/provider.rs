//! The call to Meta's Cloud API: one `POST /{version}/{phone-number-id}/messages`, never repeated here. Reads a
//! rendered message, an account and a token; answers what it came to. `errors.rs` gives the class of a refusal; the
//! pipeline records the answer.
//!
//! Meta has no idempotency key. Whatever goes wrong after the request may have left is therefore [`Answer::Unknown`],
//! and only a status webhook with the token can settle it.

use std::time::Duration;

use async_trait::async_trait;
use carillon_domain::acknowledge::payload;
use carillon_domain::rendered::RenderedParameters;
use carillon_domain::{Address, Rendered};
use carillon_pipeline::ports::{Account, Answer, Call, Meaning, Provider, Refusal, RefusalClass};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Request, Response, Url};
use serde_json::{Value, json};

use super::errors;
use crate::detail::masked;
use crate::receipt::message_id;

/// How long a worker waits for one call; what comes later is settled by a receipt.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer has some hundred bytes; what is longer is not Meta's.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Meta's Cloud API, or something that speaks like it.
#[derive(Debug, Clone)]
pub struct WhatsappProvider {
    client: Client,
    base_url: String,
    timeout: Duration,
}

impl WhatsappProvider {
    /// A provider at a base URL such as `https://graph.facebook.com`. The client must neither retry nor follow
    /// redirects, because either can send twice, and should have a connect time-out below [`TIMEOUT`], so that a dead
    /// network is known to be one.
    #[must_use]
    pub fn new(client: Client, base_url: String) -> Self {
        Self { client, base_url, timeout: TIMEOUT }
    }

    /// The same with another time limit of a whole call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The request, or why there can be none.
    fn request(&self, call: &Call<'_>) -> Result<Request, &'static str> {
        let Account::Whatsapp { phone_number_id, api_version, token } = call.account else {
            return Err("the account is not a WhatsApp account");
        };
        let mut url = Url::parse(&self.base_url).map_err(|_| "the base URL is not a URL")?;
        url.path_segments_mut().map_err(|()| "the base URL has no path")?.pop_if_empty().extend([
            api_version.as_str(),
            phone_number_id.as_str(),
            "messages",
        ]);
        let request = self.client.post(url).timeout(self.timeout).bearer_auth(token).json(&body(call)?);
        request.build().map_err(|_| "the request cannot be built")
    }
}

#[async_trait]
impl Provider for WhatsappProvider {
    async fn call(&self, call: &Call<'_>) -> Answer {
        let request = match self.request(call) {
            Ok(request) => request,
            Err(detail) => return never_built(detail),
        };
        match self.client.execute(request).await {
            Ok(response) => answered(call, response).await,
            Err(error) if error.is_connect() => {
                Answer::Unreachable { detail: transport_detail(call, &error) }
            }
            Err(error) if error.is_builder() => never_built("the request cannot be built"),
            // Also a time-out before a connection was there: that cannot be told apart, and in doubt is the safe side.
            Err(error) => Answer::Unknown { detail: transport_detail(call, &error) },
        }
    }
}

/// The JSON body.
fn body(call: &Call<'_>) -> Result<Value, &'static str> {
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "biz_opaque_callback_data": call.token.to_string(),
    });
    match call.to {
        // With its plus sign: without it Meta may put the business's own country code in front.
        Address::Phone(e164) => body["to"] = json!(e164),
        Address::Bsuid(id) => body["recipient"] = json!(id),
        Address::Email(_) | Address::Feed => return Err("the address is not a WhatsApp address"),
    }
    match call.message {
        Rendered::WhatsappText { body: text } => {
            body["type"] = json!("text");
            body["text"] = json!({ "body": text, "preview_url": false });
        }
        Rendered::WhatsappTemplate { name, language, parameters, acknowledge_button } => {
            body["type"] = json!("template");
            body["template"] = json!({ "name": name, "language": { "code": language } });
            let parameters = body_parameters(parameters);
            let mut components = Vec::new();
            if !parameters.is_empty() {
                components.push(json!({ "type": "body", "parameters": parameters }));
            }
            if let Some(place) = acknowledge_button {
                components.push(button(*place, &payload(call.token)));
            }
            if !components.is_empty() {
                body["template"]["components"] = json!(components);
            }
        }
        Rendered::Email { .. } | Rendered::InApp { .. } => {
            return Err("the message is not a WhatsApp message");
        }
    }
    Ok(body)
}

/// A quick-reply button: Meta gives the payload back when it is pressed (Meta, "Send messages", September 2026).
fn button(place: u8, payload: &str) -> Value {
    json!({
        "type": "button", "sub_type": "quick_reply", "index": place.to_string(),
        "parameters": [{ "type": "payload", "payload": payload }],
    })
}

fn body_parameters(parameters: &RenderedParameters) -> Vec<Value> {
    match parameters {
        RenderedParameters::Positional(list) => {
            list.iter().map(|text| json!({ "type": "text", "text": text })).collect()
        }
        RenderedParameters::Named(map) => map
            .iter()
            .map(|(name, text)| json!({ "type": "text", "parameter_name": name, "text": text }))
            .collect(),
    }
}

/// What an HTTP answer means.
async fn answered(call: &Call<'_>, response: Response) -> Answer {
    let http_status = response.status().as_u16();
    let accepted = response.status().is_success();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    // A body that breaks off or is no JSON reads as `null`, which names neither a message nor an error.
    let answer: Value = match read(response).await {
        Some(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        None => Value::Null,
    };
    if accepted {
        return match answer.pointer("/messages/0/id").and_then(Value::as_str).and_then(message_id) {
            Some(message_id) => Answer::Accepted { message_id },
            None => Answer::Unknown { detail: format!("HTTP {http_status} without a readable message id") },
        };
    }
    let refusal = match (code(&answer["error"]), http_status) {
        (Some(code), _) => graph_refusal(call, code, &answer["error"], http_status),
        // A gateway gave up waiting for Meta, who may have accepted.
        (None, 500..) => {
            return Answer::Unknown { detail: format!("HTTP {http_status} without a readable answer") };
        }
        (None, _) => Refusal {
            meaning: errors::meaning_of_status(http_status),
            http_status,
            code: http_status.to_string(),
            trace_id: None,
            detail: format!("HTTP {http_status} without a readable answer"),
            retry_after_s: None,
        },
    };
    // Only seconds are read: a date would need a clock.
    let retry_after_s = retry_after.and_then(|text| text.trim().parse().ok());
    Answer::Refused(Refusal { retry_after_s, ..refusal })
}

fn graph_refusal(call: &Call<'_>, code: i64, error: &Value, http_status: u16) -> Refusal {
    let words = [&error["message"], &error["error_data"]["details"]].map(|v| v.as_str().unwrap_or_default());
    let is_transient = error["is_transient"].as_bool().unwrap_or(false);
    Refusal {
        meaning: errors::meaning(code, http_status, is_transient),
        http_status,
        code: code.to_string(),
        trace_id: error["fbtrace_id"].as_str().map(|id| id.chars().take(64).collect()),
        detail: hidden(call, words.join(" ").trim()),
        retry_after_s: None,
    }
}

fn code(error: &Value) -> Option<i64> {
    error["code"].as_i64().or_else(|| error["code"].as_str()?.parse().ok())
}

/// The body, if it comes whole and is not too long.
async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}

/// What became of a connection, in the words of its innermost cause. The error's own text has the URL in it.
fn transport_detail(call: &Call<'_>, error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke"
    };
    hidden(call, &format!("{what}: {cause}"))
}

fn hidden(call: &Call<'_>, text: &str) -> String {
    let token = match call.account {
        Account::Whatsapp { token, .. } => token.as_str(),
        Account::Email { .. } => "",
    };
    let address = match call.to {
        Address::Phone(text) | Address::Bsuid(text) | Address::Email(text) => text.as_str(),
        Address::Feed => "",
    };
    masked(text, &[token, address])
}

/// A request that was never made, because of something here. There is no HTTP status.
fn never_built(detail: &str) -> Answer {
    Answer::Refused(Refusal {
        meaning: Meaning::of(RefusalClass::OurBug),
        http_status: 0,
        code: "request".to_owned(),
        trace_id: None,
        detail: detail.to_owned(),
        retry_after_s: None,
    })
}
