//! What every error of SES does to a delivery.

use carillon_channels::email::errors::TABLE;
use carillon_domain::Channel;
use carillon_pipeline::ports::Queue;
use serde_json::json;

use crate::guarantees::world::{Script, World};

const FAILED: &str = "failed(rejected:CODE)";
const HALTED: &str = "held(channel_halted)";

/// Code, words and what becomes of the delivery. Without a code any will do.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("", "maximum sending rate exceeded", "retrying"),
    ("", "daily message quota exceeded", "retrying"),
    ("MessageRejected", "not verified", HALTED),
    ("TooManyRequestsException", "", "retrying"),
    ("ThrottlingException", "", "retrying"),
    ("Throttling", "", "retrying"),
    ("RequestThrottled", "", "retrying"),
    ("LimitExceededException", "", "retrying"),
    ("AccountSuspendedException", "", HALTED),
    ("SendingPausedException", "", HALTED),
    ("MailFromDomainNotVerifiedException", "", HALTED),
    ("NotFoundException", "", HALTED),
    ("MessageRejected", "", FAILED),
    ("BadRequestException", "", FAILED),
    ("ValidationException", "", FAILED),
    ("ValidationError", "", FAILED),
    ("InternalServiceErrorException", "", "in_doubt"),
    ("InternalServiceError", "", "in_doubt"),
    ("InternalServerException", "", "in_doubt"),
    ("InternalFailure", "", "in_doubt"),
    ("ServiceUnavailable", "", "in_doubt"),
    ("ServiceUnavailableException", "", "in_doubt"),
    ("AccessDenied", "", HALTED),
    ("AccessDeniedException", "", HALTED),
    ("ExpiredToken", "", HALTED),
    ("ExpiredTokenException", "", HALTED),
    ("IncompleteSignature", "", HALTED),
    ("IncompleteSignatureException", "", HALTED),
    ("InvalidClientTokenId", "", HALTED),
    ("InvalidSignatureException", "", HALTED),
    ("MissingAuthenticationToken", "", HALTED),
    ("MissingAuthenticationTokenException", "", HALTED),
    ("NotAuthorized", "", HALTED),
    ("OptInRequired", "", HALTED),
    ("SignatureDoesNotMatch", "", HALTED),
    ("UnrecognizedClientException", "", HALTED),
];

/// An email that SES answers like this, after its first call.
async fn answered(code: &'static str, words: &'static str, status: u16) -> World {
    let route = json!({"audience": {"ids": ["ada"]}, "template": "order", "channels": ["email"]});
    let world = World::routed(Script::RefuseEmail(code, words, status), route).await;
    world.wait_long().await;
    world.accept().await;
    world.fan_out().await.unwrap();
    world.deliver_from(Queue::Email).await;
    assert_eq!(world.calls(), 1, "{code} {words}");
    world
}

#[tokio::test]
async fn every_error_of_ses_does_what_the_table_says() {
    for rule in TABLE {
        let row = EXPECTED.iter().find(|(code, words, _)| (*code, *words) == (rule.code, rule.words));
        let (_, _, state) =
            row.unwrap_or_else(|| panic!("{} {:?} is expected to do nothing", rule.code, rule.words));
        let code = if rule.code.is_empty() { "UnheardOf" } else { rule.code };
        // Each with a status that by itself would say something else.
        let world = answered(code, rule.words, if *state == FAILED { 503 } else { 400 }).await;
        assert_eq!(world.state_on(Channel::Email), state.replace("CODE", code), "{code} {}", rule.words);
        let halted = world.items("PAUSE#email");
        assert_eq!(halted, usize::from(*state == HALTED || *state == "retrying"), "{code} {}", rule.words);
        if *state == "retrying" {
            assert_eq!(
                world.delivery_on(Channel::Email).unwrap().tries,
                0,
                "{code}: a throttle costs no try"
            );
        }
    }
    assert_eq!(TABLE.len(), EXPECTED.len());
}

#[tokio::test]
async fn an_unknown_error_of_ses_is_judged_by_its_status() {
    for (status, state) in [
        (400, "failed(rejected:UnheardOf)"),
        (401, HALTED),
        (403, HALTED),
        (404, "failed(rejected:UnheardOf)"),
        (408, "retrying"),
        (429, "retrying"),
        (500, "in_doubt"),
        (503, "in_doubt"),
    ] {
        let world = answered("UnheardOf", "no words", status).await;
        assert_eq!(world.state_on(Channel::Email), state, "{status}");
    }
}
