//! What Meta accepts as a message and how it refuses the rest: errors 100, 131008 and 131009 in Meta's words.
//! [`super`] records what is accepted. Facts: Meta, WhatsApp Cloud API, "Send messages", "Webhooks" and "Error codes" (November 2026).

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::template::template;
use crate::outbox::SentTemplate;

/// Limits of Meta's message API, in characters.
const MAX_TEXT: usize = 4_096;
const MAX_CALLBACK_DATA: usize = 512;

/// A message that Meta would accept.
pub(super) struct SendRequest {
    pub(super) to: Person,
    pub(super) content: Content,
    pub(super) callback_data: Option<String>,
}

/// Whom a message goes to.
pub(super) enum Person {
    /// A phone number as it was written, and the digits that WhatsApp knows it by.
    Phone { input: String, wa_id: String },
    /// A business-scoped user id.
    Bsuid(String),
}

impl Person {
    pub(super) fn input(&self) -> &str {
        match self {
            Self::Phone { input, .. } | Self::Bsuid(input) => input,
        }
    }
}

/// What a message says.
pub(super) enum Content {
    Text(String),
    Template(SentTemplate),
}

/// A refusal.
#[derive(Debug)]
pub(super) struct GraphError {
    pub(super) status: StatusCode,
    code: u32,
    message: String,
    details: Option<String>,
}

impl GraphError {
    pub(super) fn no_token() -> Self {
        let message = "Invalid OAuth access token - Cannot parse access token".to_owned();
        Self { status: StatusCode::UNAUTHORIZED, code: 190, message, details: None }
    }

    pub(super) fn unavailable() -> Self {
        let message = "(#131000) Something went wrong".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: 131_000, message, details: None }
    }

    pub(super) fn new(code: u32, title: &str, details: impl Into<String>) -> Self {
        let message = format!("(#{code}) {title}");
        Self { status: StatusCode::BAD_REQUEST, code, message, details: Some(details.into()) }
    }

    /// The error of a code, with the HTTP status that Meta gives it: 400 for most, throttles included.
    pub(super) fn of_code(code: u32) -> Self {
        let status = match code {
            0 | 190 => StatusCode::UNAUTHORIZED,
            10 | 200..=299 | 368 | 130_497 | 131_005 | 131_031 => StatusCode::FORBIDDEN,
            132_001 => StatusCode::NOT_FOUND,
            3 | 131_000 | 131_016 | 131_045 => StatusCode::INTERNAL_SERVER_ERROR,
            2 | 133_004 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            ..Self::new(code, "Refused on purpose", "The dev cloud was asked to refuse this call.")
        }
    }

    pub(super) fn window_closed() -> Self {
        let details = "Message failed to send because more than 24 hours have passed since the customer last replied to this number.";
        Self::new(131_047, "Re-engagement message", details)
    }

    fn invalid(details: impl Into<String>) -> Self {
        Self::new(100, "Invalid parameter", details)
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(131_008, "Required parameter is missing", format!("The parameter {parameter} is required."))
    }

    pub(super) fn bad_value(details: impl Into<String>) -> Self {
        Self::new(131_009, "Parameter value is not valid", details)
    }

    /// The body of the answer.
    pub(super) fn body(&self, trace_id: &str) -> Value {
        let mut error = json!({
            "message": self.message,
            "type": "OAuthException",
            "code": self.code,
            "fbtrace_id": trace_id,
        });
        if let Some(details) = &self.details {
            error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
        }
        json!({"error": error})
    }
}

/// Reads a request as Meta does.
pub(super) fn parse(version: &str, body: &[u8]) -> Result<SendRequest, GraphError> {
    let numbers = version.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    if !numbers.is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
        return Err(GraphError::invalid(format!("Unknown path component: /{version}")));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(GraphError::invalid("The body is not a JSON object."));
    };
    match text_of(&body, "messaging_product")? {
        Some("whatsapp") => {}
        Some(_) => return Err(GraphError::invalid("Param messaging_product must be one of {WHATSAPP}.")),
        None => return Err(GraphError::invalid("The parameter messaging_product is required.")),
    }
    if !matches!(text_of(&body, "recipient_type")?, None | Some("individual")) {
        return Err(GraphError::invalid("Param recipient_type must be one of {INDIVIDUAL}."));
    }
    let callback_data = text_of(&body, "biz_opaque_callback_data")?;
    if callback_data.is_some_and(|data| data.chars().count() > MAX_CALLBACK_DATA) {
        let details =
            format!("Param biz_opaque_callback_data must be at most {MAX_CALLBACK_DATA} characters long.");
        return Err(GraphError::invalid(details));
    }
    Ok(SendRequest {
        to: person(&body)?,
        content: content(&body)?,
        callback_data: callback_data.map(str::to_owned),
    })
}

/// `to` wins over `recipient`.
fn person(body: &Map<String, Value>) -> Result<Person, GraphError> {
    if let Some(input) = text_of(body, "to")? {
        let wa_id: String = input.chars().filter(char::is_ascii_digit).collect();
        let tolerated = input.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c));
        if !tolerated || !(7..=15).contains(&wa_id.len()) {
            return Err(GraphError::bad_value("Param to is not a phone number."));
        }
        return Ok(Person::Phone { input: input.to_owned(), wa_id });
    }
    let Some(bsuid) = text_of(body, "recipient")? else {
        return Err(GraphError::invalid("The parameter to is required."));
    };
    let valid = bsuid.split_once('.').is_some_and(|(country, id)| {
        country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    });
    if valid {
        Ok(Person::Bsuid(bsuid.to_owned()))
    } else {
        Err(GraphError::bad_value("Param recipient is not a BSUID."))
    }
}

fn content(body: &Map<String, Value>) -> Result<Content, GraphError> {
    match text_of(body, "type")?.unwrap_or("text") {
        "text" => {
            let text = object_of(body, "text")?;
            let text = text_of(text, "body")?.ok_or_else(|| GraphError::missing("text['body']"))?;
            if text.is_empty() || text.chars().count() > MAX_TEXT {
                let details = format!("Param text['body'] must be between 1 and {MAX_TEXT} characters long.");
                return Err(GraphError::invalid(details));
            }
            Ok(Content::Text(text.to_owned()))
        }
        "template" => template(object_of(body, "template")?).map(Content::Template),
        other => Err(GraphError::invalid(format!(
            "Param type must be one of {{TEXT, TEMPLATE}} here, not {other:?}."
        ))),
    }
}

pub(super) fn text_of<'a>(object: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, GraphError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(GraphError::invalid(format!("Param {name} must be a string."))),
    }
}

pub(super) fn object_of<'a>(
    object: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a Map<String, Value>, GraphError> {
    match object.get(name) {
        None | Some(Value::Null) => Err(GraphError::missing(name)),
        Some(Value::Object(inner)) => Ok(inner),
        Some(_) => Err(GraphError::invalid(format!("Param {name} must be a JSON object."))),
    }
}

pub(super) fn list_of<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], GraphError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(GraphError::invalid(format!("Param {name} must be an array."))),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &Value) -> u32 {
        parse("v25.0", body.to_string().as_bytes()).err().map_or(0, |error| error.code)
    }

    fn with(changes: &Value) -> Value {
        let mut body = json!({"messaging_product": "whatsapp", "to": "+12025550101", "type": "text", "text": {"body": "hi"}});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    }

    #[test]
    fn what_meta_refuses_is_refused_with_its_code() {
        let template = |template: Value| with(&json!({"type": "template", "template": template}));
        let body = |parameters: Value| {
            let components = json!([{"type": "body", "parameters": parameters}]);
            template(json!({"name": "a_b", "language": {"code": "en"}, "components": components}))
        };
        for (body, expected) in [
            (with(&json!({})), 0),
            (with(&json!({"messaging_product": "sms"})), 100),
            (with(&json!({"messaging_product": null})), 100),
            (with(&json!({"to": null})), 100),
            (with(&json!({"to": 12_025_550_101_u64})), 100),
            (with(&json!({"to": "nobody"})), 131_009),
            (with(&json!({"to": null, "recipient": "US.1349"})), 0),
            (with(&json!({"to": null, "recipient": "1349"})), 131_009),
            (with(&json!({"type": "carrier_pigeon"})), 100),
            (with(&json!({"text": {}})), 131_008),
            (with(&json!({"text": {"body": "x".repeat(4_096)}})), 0),
            (with(&json!({"text": {"body": "ä".repeat(4_097)}})), 100),
            (with(&json!({"biz_opaque_callback_data": "x".repeat(513)})), 100),
            (with(&json!({"type": "template"})), 131_008),
            (template(json!({"name": "a_b"})), 131_008),
            (template(json!({"name": "a_b", "language": {"code": "en"}})), 0),
            (template(json!({"name": "A-B", "language": {"code": "en"}})), 131_009),
            (body(json!([{"type": "text", "text": "x"}])), 0),
            (body(json!([{"type": "text", "text": ""}])), 131_008),
            (body(json!([{"type": "text", "text": "two\nlines"}])), 131_009),
            (
                body(
                    json!([{"type": "text", "text": "x", "parameter_name": "a"}, {"type": "text", "text": "y"}]),
                ),
                132_012,
            ),
        ] {
            assert_eq!(code(&body), expected, "{body}");
        }
        assert_eq!(parse("messages", b"{}").err().map(|error| error.code), Some(100));
        assert_eq!(parse("v25.0", b"not json").err().map(|error| error.code), Some(100));
    }
}
