//! A digest: events about the same thing within a time become one message to each recipient and channel. A route says about
//! what and for how long; a delivery says which digest it is in.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use crate::problem::FieldError;
use crate::route::is_event_path;

/// What a route gathers into one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestRule {
    /// The field of the event whose value says what it is about, as a path such as `data.thread_id`.
    pub key: String,
    /// How long after the first event the message goes.
    pub window_s: u32,
}

/// The digest that a delivery is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestMark {
    /// What stands for event type, channel and value of the key.
    #[serde(rename = "g")]
    pub group: String,
    /// The end of the window, which tells one digest of a group from the next.
    #[serde(rename = "e", with = "ms")]
    pub ends_at: Timestamp,
    /// What the delivery carries, once that is settled. None on those that are carried by another.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<Carried>,
}

/// Which events one delivery tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The closing of the digest whose list they are in, from 0.
    #[serde(rename = "n")]
    pub closing: u32,
    /// How many they are.
    #[serde(rename = "m")]
    pub events: u32,
}

impl DigestRule {
    /// The longest window, seven days in seconds.
    pub const LONGEST_S: u32 = 7 * 86_400;

    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if !is_event_path(&self.key) || self.key == "data" {
            let detail = "is not a path into the event; write it like data.thread_id";
            faults.push(FieldError::new("/key", detail));
        }
        if !(1..=Self::LONGEST_S).contains(&self.window_s) {
            faults.push(FieldError::new("/window_s", "must be 1 to 604,800 seconds, which are 7 days"));
        }
        faults
    }
}

impl DigestMark {
    /// Whether the delivery still waits for the digest to close.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.carries.is_none()
    }
}
