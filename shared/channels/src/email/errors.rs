//! What the errors of SES mean, as data. Source: the SES API v2 model and the SES developer guide,
//! collected in November 2026. They name credentials and server failures as groups; the codes of those groups are
//! the usual ones of AWS APIs, from general knowledge. Read by `provider.rs`; the pipeline acts on the class.

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
    /// What to do.
    pub class: RefusalClass,
    /// How long the developer guide asks to wait, in seconds.
    pub wait_s: Option<u32>,
}

const fn rule(code: &'static str, class: RefusalClass) -> Rule {
    Rule { code, words: "", class, wait_s: None }
}

/// Every error that is known; the first rule that fits counts, so words come before codes.
pub const TABLE: &[Rule] = &[
    Rule { code: "", words: "maximum sending rate exceeded", class: Throttle, wait_s: None },
    // A moving 24 hours: the guide asks for at least ten minutes.
    Rule { code: "", words: "daily message quota exceeded", class: Throttle, wait_s: Some(600) },
    Rule { code: "MessageRejected", words: "not verified", class: Configuration, wait_s: None },
    rule("TooManyRequestsException", Throttle),
    rule("ThrottlingException", Throttle),
    rule("Throttling", Throttle),
    rule("RequestThrottled", Throttle),
    rule("LimitExceededException", Throttle),
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

/// The class of an error that SES answered, and how long to wait where the guide says so. An unknown code is judged by
/// its status: our bug below 500, ambiguous from there on.
#[must_use]
pub fn class(code: &str, message: &str, http_status: u16) -> (RefusalClass, Option<u32>) {
    let message = message.to_lowercase();
    let fits = |rule: &&Rule| (rule.code.is_empty() || rule.code == code) && message.contains(rule.words);
    match TABLE.iter().find(fits) {
        Some(rule) => (rule.class, rule.wait_s),
        None => (class_of_status(http_status), None),
    }
}

/// The class of an error whose code is not known.
fn class_of_status(http_status: u16) -> RefusalClass {
    match http_status {
        401 | 403 => Configuration,
        408 => Transient,
        429 => Throttle,
        500.. => Ambiguous,
        _ => OurBug,
    }
}
