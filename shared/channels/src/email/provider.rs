//! The call to Amazon SES: one `SendEmail`, never repeated here. Reads a rendered email, an account and a token;
//! answers what it came to. `errors.rs` gives the class of a refusal; the pipeline records the answer.
//!
//! `SendEmail` has no idempotency token, and the SDK would repeat it three times by itself: [`ses_client`] switches that
//! off. Whatever goes wrong after the request may have left is [`Answer::Unknown`], and only an event with the tag
//! `carillon` can settle it.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::RequestId;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use carillon_domain::{Address, Rendered};
use carillon_pipeline::ports::{Account, Answer, Call, Meaning, Provider, Refusal, RefusalClass};
use hyper_util::client::legacy::Error as ClientError;

use super::{TENANT_TAG, TOKEN_TAG, errors};
use crate::detail::masked;
use crate::receipt::message_id;

/// How long a worker waits for one call; what comes later is settled by a receipt.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Well below [`TIMEOUT`], so that a dead network does not use it up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// A client that makes each call once, within a time limit; at another endpoint than SES's own if one is given.
#[must_use]
pub fn ses_client(shared: &SdkConfig, endpoint: Option<&str>) -> Client {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(TIMEOUT).build();
    let mut config = aws_sdk_sesv2::config::Builder::from(shared)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    Client::from_conf(config.build())
}

/// Amazon SES, or something that speaks like it.
#[derive(Debug, Clone)]
pub struct SesProvider {
    client: Client,
    public_url: Option<String>,
}

impl SesProvider {
    /// A provider on a client of [`ses_client`]: one that retries by itself would send twice.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, public_url: None }
    }

    /// The same provider, putting unsubscribe links (RFC 8058) below this address into the headers of emails.
    #[must_use]
    pub fn linking_to(mut self, public_url: Option<String>) -> Self {
        self.public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
        self
    }

    /// The headers of an email; none without a link.
    fn headers(&self, call: &Call<'_>) -> Result<Option<Vec<MessageHeader>>, BuildError> {
        let (Some(url), Some(token)) = (&self.public_url, &call.unsubscribe) else { return Ok(None) };
        let header = |name: &str, value: String| MessageHeader::builder().name(name).value(value).build();
        Ok(Some(vec![
            header("List-Unsubscribe", format!("<{url}/u/{token}>"))?,
            header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned())?,
        ]))
    }
}

#[async_trait]
impl Provider for SesProvider {
    async fn call(&self, call: &Call<'_>) -> Answer {
        let Account::Email { from, configuration_set } = call.account else {
            return never_built("the account is not an email account");
        };
        let Address::Email(to) = call.to else { return never_built("the address is not an email address") };
        let Rendered::Email { subject, html, text } = call.message else {
            return never_built("the message is not an email");
        };
        let headers = self.headers(call);
        let Ok(content) = headers.and_then(|headers| content(subject, html, text, headers)) else {
            return never_built("the email cannot be built");
        };
        let (Ok(token), Ok(tenant)) = (tag(TOKEN_TAG, &call.token.to_string()), tag(TENANT_TAG, call.tenant))
        else {
            return never_built("the tags cannot be built");
        };
        let request = self
            .client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(to).build())
            .content(content)
            .email_tags(token)
            .email_tags(tenant)
            .set_configuration_set_name(configuration_set.clone());
        match request.send().await {
            Ok(answer) => match answer.message_id().and_then(message_id) {
                Some(message_id) => Answer::Accepted { message_id },
                None => Answer::Unknown { detail: "HTTP 200 without a readable message id".to_owned() },
            },
            Err(error) => refused(&error, to),
        }
    }
}

fn content(
    subject: &str,
    html: &str,
    text: &str,
    headers: Option<Vec<MessageHeader>>,
) -> Result<EmailContent, BuildError> {
    let body = Body::builder().html(utf8(html)?).text(utf8(text)?).build();
    let message = Message::builder().subject(utf8(subject)?).body(body).set_headers(headers).build();
    Ok(EmailContent::builder().simple(message).build())
}

fn utf8(data: &str) -> Result<Content, BuildError> {
    Content::builder().data(data).charset("UTF-8").build()
}

fn tag(name: &str, value: &str) -> Result<MessageTag, BuildError> {
    MessageTag::builder().name(name).value(value).build()
}

/// What an error of the SDK means: above all, whether the request may have left.
fn refused(error: &SdkError<SendEmailError>, to: &str) -> Answer {
    match error {
        // Credentials are loaded before the request is signed, so nothing has left.
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) if about_credentials(error) => {
            local_refusal(RefusalClass::Configuration, "credentials", "there are no credentials for SES")
        }
        SdkError::ConstructionFailure(_) => never_built("the request cannot be built"),
        SdkError::DispatchFailure(_) if never_connected(error) => {
            Answer::Unreachable { detail: format!("no connection: {}", innermost(error, to)) }
        }
        // A 200 whose body cannot be read is an "error of the service" to the SDK, and an accepted email to the reader.
        SdkError::ServiceError(context) if !context.raw().status().is_success() => {
            service_error(error, context.raw().status().as_u16(), to)
        }
        // Time-outs, broken connections, unreadable answers, and whatever a later SDK adds.
        _ => Answer::Unknown { detail: format!("no readable answer: {}", innermost(error, to)) },
    }
}

fn service_error(error: &SdkError<SendEmailError>, http_status: u16, to: &str) -> Answer {
    let message = error.message().unwrap_or_default();
    let Some(code) =
        error.code().map(str::to_owned).or_else(|| (http_status < 500).then(|| http_status.to_string()))
    else {
        // A gateway answered instead of SES, who may have accepted.
        return Answer::Unknown { detail: format!("HTTP {http_status} without a readable answer") };
    };
    Answer::Refused(Refusal {
        meaning: errors::meaning(&code, message, http_status),
        http_status,
        code,
        trace_id: error.request_id().map(|id| id.chars().take(64).collect()),
        detail: masked(message, &[to]),
        retry_after_s: None,
    })
}

/// Whether the error is certainly from before there was a connection: the client says so, or its cause cannot come
/// later. A reset or a time-out does not count.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<ClientError>().is_some_and(ClientError::is_connect)
            || cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused)
    })
}

fn about_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<CredentialsError>)
}

fn innermost(error: &(dyn Error + 'static), to: &str) -> String {
    causes(error).last().map(|cause| masked(&cause.to_string(), &[to])).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// A request that was never made, because of something here.
fn never_built(detail: &str) -> Answer {
    local_refusal(RefusalClass::OurBug, "request", detail)
}

/// A refusal of our own; there is no HTTP status.
fn local_refusal(class: RefusalClass, code: &str, detail: &str) -> Answer {
    Answer::Refused(Refusal {
        meaning: Meaning::of(class),
        http_status: 0,
        code: code.to_owned(),
        trace_id: None,
        detail: detail.to_owned(),
        retry_after_s: None,
    })
}
