//! What Meta's error codes mean, as data. The same codes come in an answer and, hours later, in a webhook. Source:
//! Meta, WhatsApp Cloud API, "Throughput" and "Error codes", collected in November 2026, the latter at second hand; not
//! compared with Meta's pages since. Read by `provider.rs`; the pipeline acts on the class.
//!
//! Meta throttles with HTTP 400, so the code decides and the status is only a fallback.

use std::ops::RangeInclusive;

use carillon_pipeline::ports::RefusalClass::{
    self, AccountStop, Ambiguous, Configuration, Hold, OurBug, Permanent, Throttle, Transient,
};
use carillon_pipeline::ports::{Meaning, Remedy};

/// When [`TABLE`] was transcribed from its source.
pub const AS_OF: &str = "2026-11-20";

/// What one code, or a range of them, means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The codes.
    pub codes: RangeInclusive<i64>,
    /// What it means and what to do.
    pub meaning: Meaning,
    /// What Meta means, in a few words.
    pub words: &'static str,
}

const fn rule(code: i64, class: RefusalClass, words: &'static str) -> Rule {
    rules(code..=code, class, words)
}

const fn rules(codes: RangeInclusive<i64>, class: RefusalClass, words: &'static str) -> Rule {
    Rule { codes, meaning: Meaning::of(class), words }
}

/// A rule whose meaning is more than its class.
const fn special(code: i64, meaning: Meaning, words: &'static str) -> Rule {
    Rule { codes: code..=code, meaning, words }
}

/// Every code that is known. Where the source leaves two classes open, or its class would do more than its action asks,
/// the line says what was chosen and why.
pub const TABLE: &[Rule] = &[
    rule(0, Configuration, "authentication failed"),
    // Refused with 400, so nothing was sent: worth a capped retry.
    rule(1, Transient, "unknown API error"),
    rule(2, Transient, "service down"),
    rule(3, Configuration, "capability or permission missing"),
    rule(4, Throttle, "app call rate"),
    rule(10, Configuration, "permission denied"),
    rule(33, Configuration, "business number deleted"),
    rule(100, OurBug, "invalid parameter"),
    rule(190, Configuration, "token expired or revoked"),
    rules(200..=299, Configuration, "permission missing"),
    rule(368, AccountStop, "temporarily blocked for policy"),
    rule(80_007, Throttle, "rate of the business account"),
    rule(130_429, Throttle, "throughput of the business number"),
    rule(130_472, Permanent, "the user is part of an experiment"),
    special(130_497, Meaning::of(Permanent).alerting(), "messages to that country are not allowed"),
    // Comes with 500: the message may be on its way.
    rule(131_000, Ambiguous, "something went wrong"),
    rule(131_005, Configuration, "access denied"),
    rule(131_008, OurBug, "parameter missing"),
    rule(131_009, OurBug, "parameter value bad"),
    rule(131_016, Transient, "service unavailable"),
    rule(131_021, Permanent, "sender and recipient are the same"),
    special(131_026, Meaning::of(Permanent).with(Remedy::CountUnreachable), "undeliverable"),
    rule(131_030, Configuration, "test number: the recipient is not on its list"),
    rule(131_031, AccountStop, "account locked"),
    rule(131_037, Configuration, "display name not approved"),
    rule(131_042, Configuration, "payment problem"),
    rule(131_044, Configuration, "credit or payment problem"),
    rule(131_045, Configuration, "number not registered, or its certificate"),
    special(
        131_047,
        Meaning::of(Permanent).with(Remedy::AsTemplate),
        "more than 24 hours since the user's last message",
    ),
    // Stops the number for hours and wants a person: a stop rather than a hold.
    special(131_048, Meaning::of(AccountStop).waiting(3_600), "spam rate limit"),
    // Every call within a day makes the hold longer.
    special(131_049, Meaning::of(Hold).waiting(86_400), "held back for ecosystem health"),
    special(
        131_050,
        Meaning::of(Permanent).with(Remedy::NoMoreMarketing),
        "the user stopped marketing messages",
    ),
    rule(131_051, OurBug, "unsupported type"),
    // About received media only; never an answer to what is sent here.
    rule(131_052, OurBug, "could not download inbound media"),
    // One retry could help if a media link was down; no media is sent here.
    rule(131_053, OurBug, "media upload or link failed"),
    rule(131_055, Configuration, "method not allowed"),
    special(131_056, Meaning::of(Throttle).of_pair(), "rate of this sender and recipient"),
    special(131_057, Meaning::of(Throttle).waiting(60), "account in maintenance"),
    rule(131_062, Permanent, "user id not supported for this message"),
    rule(131_063, Configuration, "marketing disabled on this API"),
    rule(131_064, AccountStop, "limit from misclassified templates"),
    rule(132_000, OurBug, "parameter count mismatch"),
    // About one template: halting the whole channel, as for other configuration, would stop the others too.
    special(
        132_001,
        Meaning::of(OurBug).alerting(),
        "template or language does not exist or is not approved",
    ),
    rule(132_005, OurBug, "rendered text too long"),
    rule(132_007, OurBug, "content violates policy"),
    rule(132_008, OurBug, "parameter format mismatch"),
    rule(132_012, OurBug, "parameter format mismatch"),
    // First for three hours, then for six, then for good; the webhook about its status says when.
    special(
        132_015,
        Meaning::of(Hold).with(Remedy::TemplatePaused).waiting(10_800),
        "template paused for low quality",
    ),
    // The source says configuration, and dead-letter: as 132001, it ends this message and other templates go on.
    special(132_016, Meaning::of(OurBug).alerting(), "template disabled for good"),
    rule(132_068, Hold, "flow blocked"),
    rule(132_069, Throttle, "flow throttled"),
    rule(133_000, Configuration, "number registration incomplete"),
    rule(133_004, Transient, "server temporarily unavailable"),
    rules(133_005..=133_006, Configuration, "number PIN or verification"),
    rules(133_008..=133_009, Configuration, "too many PIN tries"),
    rule(133_010, Configuration, "number not registered"),
    rule(133_015, Configuration, "number deleted too recently"),
    rule(133_016, Throttle, "too many registrations"),
    rule(134_011, Configuration, "payment terms not accepted"),
    rule(134_100, OurBug, "not a marketing template"),
    special(134_101, Meaning::of(Hold).waiting(600), "template still syncing"),
    rule(134_102, Configuration, "template not available on this API"),
    rule(135_000, OurBug, "generic user error"),
    rule(137_000, Permanent, "identity key mismatch"),
];

/// The meaning of a code that is in [`TABLE`].
#[must_use]
pub fn known(code: i64) -> Option<Meaning> {
    TABLE.iter().find(|rule| rule.codes.contains(&code)).map(|rule| rule.meaning)
}

/// The meaning of an error that Meta answered. An unknown code is our bug when the status says that the request is
/// wrong, which a person has to look at, transient when Meta says so, and ambiguous when the server failed.
#[must_use]
pub fn meaning(code: i64, http_status: u16, is_transient: bool) -> Meaning {
    known(code).unwrap_or(match http_status {
        500.. => Meaning::of(Ambiguous),
        _ if is_transient => Meaning::of(Transient),
        status => meaning_of_status(status),
    })
}

/// The meaning of a code that came in a receipt, which says surely that the message did not arrive: an unknown one
/// ends it.
#[must_use]
pub fn later_meaning(code: i64) -> Meaning {
    let meaning = known(code).unwrap_or(Meaning::of(Permanent));
    match meaning.class {
        // What was in doubt as an answer is certain as a receipt.
        Ambiguous => Meaning { class: Transient, ..meaning },
        _ => meaning,
    }
}

/// The meaning of a refusal that names no code: something in front of Meta answered, and nothing was sent.
#[must_use]
pub fn meaning_of_status(http_status: u16) -> Meaning {
    match http_status {
        401 | 403 | 407 => Meaning::of(Configuration),
        408 | 425 => Meaning::of(Transient),
        429 => Meaning::of(Throttle),
        500.. => Meaning::of(Ambiguous),
        _ => Meaning::of(OurBug).alerting(),
    }
}
