//! What the errors of SES mean, as data. Source: the SES API v2 model and the SES developer guide,
//! collected in November 2026. They name credentials and server failures as groups; the codes of those groups are
//! the usual ones of AWS APIs, from general knowledge. Read by `provider.rs`; the pipeline acts on the class.

use carillon_pipeline::ports::Meaning;
use carillon_pipeline::ports::RefusalClass::{
    self, AccountStop, Ambiguous, Configuration, OurBug, Permanent, Throttle, Transient,
};

/// When [`TABLE`] was transcribed from its source.
pub const AS_OF: &str = "2026-11-20";

/// What one error means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The error's code; empty for any.
    pub code: &'static str,
    /// Words that its message must contain, in lower case; empty for any.
    pub words: &'static str,
    /// What it means and what to do.
    pub meaning: Meaning,
}

const fn rule(code: &'static str, class: RefusalClass) -> Rule {
    Rule { code, words: "", meaning: Meaning::of(class) }
}

/// Every error that is known; the first rule that fits counts, so words come before codes.
pub const TABLE: &[Rule] = &[
    Rule { code: "", words: "maximum sending rate exceeded", meaning: Meaning::of(Throttle) },
    // A moving 24 hours: the guide asks for at least ten minutes.
    Rule { code: "", words: "daily message quota exceeded", meaning: Meaning::of(Throttle).waiting(600) },
    Rule { code: "MessageRejected", words: "not verified", meaning: Meaning::of(Configuration) },
    rule("TooManyRequestsException", Throttle),
    rule("ThrottlingException", Throttle),
    rule("Throttling", Throttle),
    rule("RequestThrottled", Throttle),
    Rule { code: "LimitExceededException", words: "", meaning: Meaning::of(Throttle).alerting() },
    rule("AccountSuspendedException", AccountStop),
    rule("SendingPausedException", AccountStop),
    rule("MailFromDomainNotVerifiedException", Configuration),
    rule("NotFoundException", Configuration),
    rule("MessageRejected", Permanent),
    rule("BadRequestException", OurBug),
    rule("ValidationException", OurBug),
    rule("ValidationError", OurBug),
    // The request may have been worked on before the service failed.
    rule("InternalServiceErrorException", Ambiguous),
    rule("InternalServiceError", Ambiguous),
    rule("InternalServerException", Ambiguous),
    rule("InternalFailure", Ambiguous),
    rule("ServiceUnavailable", Ambiguous),
    rule("ServiceUnavailableException", Ambiguous),
    rule("AccessDenied", Configuration),
    rule("AccessDeniedException", Configuration),
    rule("ExpiredToken", Configuration),
    rule("ExpiredTokenException", Configuration),
    rule("IncompleteSignature", Configuration),
    rule("IncompleteSignatureException", Configuration),
    rule("InvalidClientTokenId", Configuration),
    rule("InvalidSignatureException", Configuration),
    rule("MissingAuthenticationToken", Configuration),
    rule("MissingAuthenticationTokenException", Configuration),
    rule("NotAuthorized", Configuration),
    rule("OptInRequired", Configuration),
    rule("SignatureDoesNotMatch", Configuration),
    rule("UnrecognizedClientException", Configuration),
];

/// The meaning of an error that SES answered. An unknown code is judged by its status: our bug below 500, which a person
/// has to look at, ambiguous from there on.
#[must_use]
pub fn meaning(code: &str, message: &str, http_status: u16) -> Meaning {
    let message = message.to_lowercase();
    let fits = |rule: &&Rule| (rule.code.is_empty() || rule.code == code) && message.contains(rule.words);
    TABLE.iter().find(fits).map_or_else(|| meaning_of_status(http_status), |rule| rule.meaning)
}

/// The meaning of an error whose code is not known.
fn meaning_of_status(http_status: u16) -> Meaning {
    match http_status {
        401 | 403 => Meaning::of(Configuration),
        408 => Meaning::of(Transient),
        429 => Meaning::of(Throttle),
        500.. => Meaning::of(Ambiguous),
        _ => Meaning::of(OurBug).alerting(),
    }
}
