//! Why a test message did not go out, in words, and what to do: from the delivery's state and reason, and from the code
//! that the provider answered. What the codes mean for sending is in the channels; here is what they mean for a person.

use carillon_channels::whatsapp;
use carillon_domain::Channel;
use serde_json::Value;

use super::item::Finding;
use crate::log::field;

/// Errors of SES by code, and by words of the message where the code alone does not say it.
const EMAIL: &[(&str, &str, &str, &str)] = &[
    (
        "",
        "not verified",
        "identity not verified: SES does not know the sender, or the account is in the sandbox, where the recipient must be verified too",
        "verify the sender's domain in SES in the same region, and ask AWS for production access",
    ),
    ("", "quota exceeded", "the SES account has used its messages of 24 hours", "ask AWS for a higher quota"),
    ("AccountSuspendedException", "", "the SES account is suspended", "look at the account dashboard of SES"),
    (
        "SendingPausedException",
        "",
        "sending is paused for the account or the configuration set",
        "aws sesv2 put-account-sending-attributes --sending-enabled",
    ),
    (
        "MailFromDomainNotVerifiedException",
        "",
        "the MAIL FROM domain is not verified",
        "add its MX and SPF records, or take the custom MAIL FROM domain away",
    ),
    (
        "NotFoundException",
        "",
        "the configuration set does not exist in this region",
        "put the right configuration_set and region: PUT /v1/channels/email",
    ),
    (
        "AccessDenied",
        "",
        "IAM does not let deliver-email send from this identity",
        "allow ses:SendEmail on the identity, in its region",
    ),
    (
        "ExpiredToken",
        "",
        "the AWS credentials have expired",
        "deploy again; the function's role renews them by itself",
    ),
];

/// The codes of Meta that a setup leads to; what the others mean is in the table of the channel.
const WHATSAPP: &[(&str, &str, &str)] = &[
    (
        "0",
        "HTTP 401 Unauthorized: the access token is not accepted",
        "put a new token: PUT /v1/channels/whatsapp",
    ),
    (
        "190",
        "HTTP 401 Unauthorized: the access token has expired or was revoked",
        "put a new token: PUT /v1/channels/whatsapp",
    ),
    (
        "10",
        "the token may not send from this number",
        "give its system user whatsapp_business_messaging on the business account",
    ),
    (
        "131030",
        "the number is a test number and the recipient is not on its list",
        "add the phone in Meta's API setup, or use a registered number",
    ),
    (
        "131026",
        "HTTP 400 Invalid phone number: it is not on WhatsApp, or does not take messages",
        "try another phone",
    ),
    (
        "132001",
        "the approved template hello_world does not exist in en_US",
        "have it approved, or put a template carillon_test that names another",
    ),
    (
        "133010",
        "the sending number is not registered",
        "register it: POST /{phone_number_id}/register at Meta",
    ),
];

/// Why, and what to do.
pub(super) fn finding(channel: Channel, delivery: &Value) -> Finding {
    let (cause, fix) = by_answer(channel, delivery).unwrap_or_else(|| by_reason(channel, delivery));
    let words =
        [field(delivery, "note"), last_attempt(delivery).map(|a| field(a, "detail")).unwrap_or_default()];
    let words = words.into_iter().find(|w| !w.is_empty()).map(|w| format!(" ({w})")).unwrap_or_default();
    Finding::fault(format!("the test by {channel} was not sent: {cause}{words}"), fix)
}

fn last_attempt(delivery: &Value) -> Option<&Value> {
    delivery["timeline"].as_array()?.iter().rev().find(|entry| entry["kind"] == "attempt")
}

/// By what the provider answered; none when it was not asked, or its answer means nothing here.
fn by_answer(channel: Channel, delivery: &Value) -> Option<(String, String)> {
    let attempt = last_attempt(delivery)?;
    let (code, detail) = (field(attempt, "code"), field(attempt, "detail").to_lowercase());
    if channel == Channel::Email {
        let fits = |(known, words, ..): &&(&str, &str, &str, &str)| {
            code.starts_with(known) && detail.contains(words)
        };
        let known =
            EMAIL.iter().find(fits).map(|(_, _, cause, fix)| ((*cause).to_owned(), (*fix).to_owned()));
        let other = || (format!("SES answered {code}"), "read its words: carillon explain".to_owned());
        return known.or_else(|| (!code.is_empty()).then(other));
    }
    if let Some((_, cause, fix)) = WHATSAPP.iter().find(|(known, ..)| *known == code) {
        return Some(((*cause).to_owned(), (*fix).to_owned()));
    }
    let number: i64 = code.parse().ok()?;
    let rule = whatsapp::errors::TABLE.iter().find(|rule| rule.codes.contains(&number))?;
    Some((
        format!("Meta's error {code}: {}", rule.words),
        "look the code up in Meta's list of errors".to_owned(),
    ))
}

/// By where the delivery stands.
fn by_reason(channel: Channel, delivery: &Value) -> (String, String) {
    let (state, reason) = (field(delivery, "state"), field(delivery, "reason"));
    let (cause, fix) = match (state.as_str(), reason.as_str()) {
        ("" | "pending" | "sending", _) => (
            "workers not running: nothing took it within a minute",
            "look at the queues, logs and alarms of the stack",
        ),
        ("held", "channel_halted") => (
            "not configured or disabled: the channel has no provider that works",
            "put its configuration: PUT /v1/channels/{channel}",
        ),
        ("held", "switched_off") => ("a kill switch stops it", "open the switch"),
        ("held", "window_closed") => {
            ("WhatsApp's 24-hour window is closed", "write to the number from that phone, then try again")
        }
        ("held", _) => ("it waits for its time", "carillon deliveries --state held shows for which"),
        ("skipped", "no_address") => ("No phone number, or no email address", "give one"),
        ("skipped", "suppressed") => {
            ("the address is on the suppression list", "take it off: GET and DELETE /v1/suppressions")
        }
        ("skipped", "test_key") => ("the key is a test key, which sends nothing", "use a live key"),
        ("skipped", "not_team") => {
            ("the key is a team key and the address is not of the team", "use a live key")
        }
        ("failed", "bounced") => ("the mailbox does not exist or refuses mail", "try another address"),
        ("failed", "attempts_exhausted") => {
            ("the provider failed at every try", "carillon recent shows what it said; then carillon retry")
        }
        ("retrying", _) => ("the provider does not answer, or throttles", "try again in some minutes"),
        ("in_doubt", _) => (
            "the provider was asked and nobody knows whether it accepted",
            "wait for a receipt: carillon recent",
        ),
        _ => ("it ended otherwise", "carillon recent shows it"),
    };
    let also = if reason.is_empty() { String::new() } else { format!(" [{reason}]") };
    (format!("{cause}{also}"), fix.replace("{channel}", channel.as_str()))
}
