//! Whether what a tenant sends goes well: what is checked, and from when on somebody has to hear of it. Pure: figures in,
//! findings out. The figures are sums of counters; those of a period are what was counted since a reading of before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::channel::Channel;
use crate::counters::{Counters, Counts};
use crate::problem::FieldError;

mod checks;
mod thresholds;

pub use checks::{Snapshot, checks};
pub use thresholds::Thresholds;

/// How bad something is; each is worse than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All is well, as far as anybody can say.
    Ok,
    /// Somebody may want to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody has to look now.
    Critical,
}

impl Severity {
    /// The severity's name in JSON and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Whether the table answers, and how fast.
    Database,
    /// Whether anything gets through to a channel's provider.
    Provider,
    /// The share of a channel's messages that went out.
    SuccessRate,
    /// How many messages failed in a day.
    Failed,
    /// How many messages should have been sent long ago and were not tried.
    Stuck,
    /// How many of a channel's messages are on its queue.
    Queue,
    /// How many messages may or may not have been sent.
    InDoubt,
    /// How many queue messages no worker could work.
    DeadLetters,
    /// The share of the credits that is left.
    CreditsShare,
    /// The number of credits that are left.
    CreditsLeft,
    /// Whether what runs by the clock has run.
    Sweeps,
    /// Whether the provider takes the tenant's templates.
    Templates,
}

impl Check {
    /// The check's name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Provider => "provider",
            Self::SuccessRate => "success_rate",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
            Self::Queue => "queue",
            Self::InDoubt => "in_doubt",
            Self::DeadLetters => "dead_letters",
            Self::CreditsShare => "credits_share",
            Self::CreditsLeft => "credits_left",
            Self::Sweeps => "sweeps",
            Self::Templates => "templates",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// Of which channel, where it is about one.
    pub channel: Option<Channel>,
    /// How bad it is; none when there is too little to say, so that what was found before stands.
    pub severity: Option<Severity>,
    /// The figure.
    pub value: i64,
    /// What it is compared with.
    pub threshold: i64,
    /// In words, for people.
    pub text: String,
    /// The channels that do not carry messages, so that nobody is told of it there.
    pub broken: Vec<Channel>,
}

impl Finding {
    /// What there is one open problem for: the check, and the channel.
    #[must_use]
    pub fn key(&self) -> String {
        match self.channel {
            Some(channel) => format!("{}-{channel}", self.check.as_str()),
            None => self.check.as_str().to_owned(),
        }
    }
}

/// What was counted of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Sent, delivered or read.
    #[serde(rename = "g")]
    pub good: i64,
    /// Failed.
    #[serde(rename = "f")]
    pub failed: i64,
    /// Of these, after every try.
    #[serde(rename = "x")]
    pub exhausted: i64,
    /// Expired.
    #[serde(rename = "o")]
    pub expired: i64,
    /// Provider calls.
    #[serde(rename = "c")]
    pub calls: i64,
    /// Ever accepted by the provider.
    #[serde(rename = "s")]
    pub sent: i64,
    /// Pending now.
    #[serde(rename = "p")]
    pub pending: i64,
    /// Sending now.
    #[serde(rename = "n")]
    pub sending: i64,
    /// Waiting to be tried again now.
    #[serde(rename = "r")]
    pub retrying: i64,
    /// In doubt now.
    #[serde(rename = "d")]
    pub in_doubt: i64,
    /// Waiting for the provider to take anything at all now.
    #[serde(rename = "h")]
    pub halted: i64,
}

impl Tally {
    fn add(&mut self, counts: &Counts) {
        let state = |name: &str| counts.get(&format!("state:{name}"));
        self.good += state("sent") + state("delivered") + state("read");
        self.failed += state("failed");
        self.exhausted += counts.get("reason:failed(attempts_exhausted)");
        self.expired += state("expired");
        self.calls += counts.get("calls");
        self.sent += counts.get("sent");
        self.pending += state("pending");
        self.sending += state("sending");
        self.retrying += state("retrying");
        self.in_doubt += state("in_doubt");
        self.halted += counts.get("reason:held(channel_halted)");
    }

    /// On their way to the provider.
    #[must_use]
    pub fn on_their_way(&self) -> i64 {
        self.pending + self.sending
    }
}

/// What was counted up to an instant, of the deliveries that were planned since a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// The first day whose deliveries are in it.
    pub first_day: i64,
    /// By channel.
    pub channels: BTreeMap<Channel, Tally>,
}

impl Reading {
    /// What the counters say now.
    #[must_use]
    pub fn of(counters: &Counters, at: Timestamp, first_day: i64) -> Self {
        let mut channels: BTreeMap<Channel, Tally> = BTreeMap::new();
        for (place, counts) in counters.iter().filter(|(place, _)| place.day >= first_day) {
            channels.entry(place.channel).or_default().add(counts);
        }
        Self { at, first_day, channels }
    }

    /// What was counted of a channel.
    #[must_use]
    pub fn tally(&self, channel: Channel) -> Tally {
        self.channels.get(&channel).copied().unwrap_or_default()
    }
}

fn fault_of_range(pointer: &str, value: u32, (least, most): (u32, u32)) -> Option<FieldError> {
    let fits = (least..=most).contains(&value);
    (!fits).then(|| FieldError::new(pointer, format!("must be {least} to {most}")))
}
