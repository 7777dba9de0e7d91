//! What SES accepts as an email (`Content.Simple`) and how it refuses the rest. [`super`] records what is accepted.
//! Facts: Amazon SES API v2 and developer guide (November 2026).

use std::borrow::Cow;

use axum::http::StatusCode;
use serde::Deserialize;

/// Limits of Amazon SES API v2 and developer guide (November 2026).
const MAX_RECIPIENTS: usize = 50;
const MAX_HEADERS: usize = 15;
const MAX_HEADER_NAME: usize = 126;
const MAX_HEADER_VALUE: usize = 995;
const MAX_HEADER: usize = 996;
const MAX_TAG: usize = 256;

/// Headers that other fields of the request make.
const STRUCTURAL: [&str; 9] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "return-path",
];

/// Identities of this domain are not verified, so that the refusal can be seen in a dev cloud too.
const UNVERIFIED_DOMAIN: &str = "unverified.example.com";

/// An email that SES would accept.
pub(super) struct Email {
    pub(super) from: String,
    /// To, Cc and Bcc, without names.
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) html: Option<String>,
    pub(super) text: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) configuration_set: Option<String>,
}

/// A refusal.
#[derive(Debug)]
pub(super) struct SesError {
    pub(super) status: StatusCode,
    /// The value of `x-amzn-errortype`.
    pub(super) kind: Cow<'static, str>,
    pub(super) message: String,
}

impl SesError {
    pub(super) fn internal() -> Self {
        let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, "Internal failure".to_owned());
        Self { status, kind: "InternalServiceErrorException".into(), message }
    }

    /// The error of a name, with the HTTP status that SES gives it.
    pub(super) fn of_name(name: &str) -> Self {
        let status = match name {
            "TooManyRequestsException" => StatusCode::TOO_MANY_REQUESTS,
            "NotFoundException" => StatusCode::NOT_FOUND,
            _ if name.starts_with("AccessDenied") || name.starts_with("Expired") => StatusCode::FORBIDDEN,
            _ if name.starts_with("Internal") => StatusCode::INTERNAL_SERVER_ERROR,
            _ if name.starts_with("ServiceUnavailable") => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let message = "Refused on purpose: the dev cloud was asked to.".to_owned();
        Self { status, kind: name.to_owned().into(), message }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "BadRequestException".into(), message: message.into() }
    }

    fn not_verified(identity: &str) -> Self {
        let message = format!(
            "Email address is not verified. The following identities failed the check in region US-EAST-1: {identity}"
        );
        Self { status: StatusCode::BAD_REQUEST, kind: "MessageRejected".into(), message }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    content: Content,
    #[serde(default)]
    email_tags: Vec<Pair>,
    configuration_set_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Destination {
    #[serde(rename = "ToAddresses")]
    to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Simple>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Text,
    body: Body,
    #[serde(default)]
    headers: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    html: Option<Text>,
    text: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    name: String,
    value: String,
}

/// Reads a request as SES does.
pub(super) fn parse(body: &[u8]) -> Result<Email, SesError> {
    let request: SendEmail = serde_json::from_slice(body)
        .map_err(|error| SesError::bad_request(format!("Invalid request: {error}")))?;
    let simple =
        request.content.simple.ok_or_else(|| SesError::bad_request("Content must have Simple here"))?;
    let from =
        request.from_email_address.ok_or_else(|| SesError::bad_request("Missing required header 'From'."))?;
    let from_address = address(&from)?;
    if from_address.split_once('@').is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(UNVERIFIED_DOMAIN))
    {
        return Err(SesError::not_verified(from_address));
    }
    let Destination { to, cc, bcc } = &request.destination;
    let everyone = to.iter().chain(cc).chain(bcc);
    let to = everyone.map(|text| address(text).map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    if !(1..=MAX_RECIPIENTS).contains(&to.len()) {
        return Err(SesError::bad_request(format!(
            "Recipient count {} is not within 1 to {MAX_RECIPIENTS}.",
            to.len()
        )));
    }
    let body_of = |part: Option<Text>| part.map(|text| text.data);
    let (subject, html, text) = (simple.subject.data, body_of(simple.body.html), body_of(simple.body.text));
    if subject.contains(['\r', '\n']) {
        return Err(SesError::bad_request("Subject must be one line."));
    }
    if html.is_none() && text.is_none() {
        return Err(SesError::bad_request("Body must have Html or Text."));
    }
    let headers = headers(simple.headers)?;
    let tags = request.email_tags.into_iter().map(tag).collect::<Result<_, _>>()?;
    Ok(Email {
        from,
        to,
        subject,
        html,
        text,
        headers,
        tags,
        configuration_set: request.configuration_set_name,
    })
}

/// The address in `Ada <ada@example.com>` or in `ada@example.com`.
fn address(text: &str) -> Result<&str, SesError> {
    let address =
        text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end().trim_end_matches('>')).trim();
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Err(SesError::bad_request("Missing final '@domain'"));
    };
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"<>,;@".contains(&b));
    if !plain(local) {
        return Err(SesError::bad_request(
            "Local address contains control, whitespace or non-ASCII characters",
        ));
    }
    if !plain(domain) {
        return Err(SesError::bad_request("Domain contains illegal character"));
    }
    Ok(address)
}

fn headers(headers: Vec<Pair>) -> Result<Vec<(String, String)>, SesError> {
    if headers.len() > MAX_HEADERS {
        return Err(SesError::bad_request(format!("More than {MAX_HEADERS} headers.")));
    }
    let check = |Pair { name, value }: Pair| {
        let named = (1..=MAX_HEADER_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let valued = value.len() <= MAX_HEADER_VALUE
            && name.len() + value.len() <= MAX_HEADER
            && !value.contains(['\r', '\n']);
        let allowed = !STRUCTURAL.contains(&name.to_ascii_lowercase().as_str());
        if named && valued && allowed {
            Ok((name, value))
        } else {
            Err(SesError::bad_request("Invalid header."))
        }
    };
    headers.into_iter().map(check).collect()
}

fn tag(Pair { name, value }: Pair) -> Result<(String, String), SesError> {
    let valid = |text: &str, extra: &[u8]| {
        (1..=MAX_TAG).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b) || extra.contains(&b))
    };
    if valid(&name, b"") && valid(&value, b".@") {
        Ok((name, value))
    } else {
        Err(SesError::bad_request(format!(
            "Invalid email tag <{name}>: letters, digits, underscores and hyphens."
        )))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kind(at: &str, value: &Value) -> Cow<'static, str> {
        let mut body = json!({
            "FromEmailAddress": "Shop <shop@example.com>",
            "Destination": {"ToAddresses": ["ada@example.com"]},
            "Content": {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}, "Headers": []}},
            "EmailTags": [{"Name": "carillon", "Value": "d1-1"}]
        });
        *body.pointer_mut(at).unwrap() = value.clone();
        parse(body.to_string().as_bytes()).err().map_or("accepted".into(), |error| error.kind)
    }

    #[test]
    fn what_ses_refuses_is_refused_with_its_name() {
        const BAD: &str = "BadRequestException";
        let header = |name: &str, value: &str| json!([{"Name": name, "Value": value}]);
        for (at, value, expected) in [
            ("/FromEmailAddress", json!("shop@example.com"), "accepted"),
            ("/FromEmailAddress", json!(null), BAD),
            ("/FromEmailAddress", json!("Shop <shop@unverified.example.com>"), "MessageRejected"),
            ("/Destination/ToAddresses", json!([]), BAD),
            ("/Destination/ToAddresses", json!(["nobody"]), BAD),
            ("/Destination/ToAddresses", json!(["adä@example.com"]), BAD),
            ("/Destination/ToAddresses", json!(vec!["ada@example.com"; 50]), "accepted"),
            ("/Destination/ToAddresses", json!(vec!["ada@example.com"; 51]), BAD),
            ("/Content", json!({"Raw": {"Data": ""}}), BAD),
            ("/Content/Simple/Subject/Data", json!("two\nlines"), BAD),
            ("/Content/Simple/Body", json!({}), BAD),
            ("/Content/Simple/Headers", header("List-Unsubscribe", "<https://example.com/u/1>"), "accepted"),
            ("/Content/Simple/Headers", header("Subject", "again"), BAD),
            ("/Content/Simple/Headers", header("X-Long", &"x".repeat(996)), BAD),
            ("/EmailTags", header("carillon", "not allowed"), BAD),
            ("", json!([]), BAD),
        ] {
            assert_eq!(kind(at, &value), expected, "{at} {value}");
        }
        assert_eq!(parse(b"not json").err().map(|error| error.kind), Some(BAD.into()));
    }
}
