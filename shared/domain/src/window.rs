//! WhatsApp's customer service window: for 24 hours after a person has written to a number, it may send them free text.
//! Meta: WhatsApp Business Platform, "Messages" (2026).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::EventType;
use crate::problem::FieldError;

/// How long a window stays open.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The end of the window that a message opens: at that instant it is closed.
#[must_use]
pub fn until(written_at: Timestamp) -> Timestamp {
    written_at.checked_add(WINDOW).unwrap_or(Timestamp::MAX)
}

/// Whether a window with this end is open.
#[must_use]
pub fn is_open(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_some_and(|until| now < until)
}

/// That somebody is told before a window closes: an event of this type, so long before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowReminder {
    /// How long before the window closes, in seconds.
    pub before_s: u32,
    /// The type of the event, whose route says who is told.
    pub event_type: EventType,
}

impl WindowReminder {
    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        // At least as often as sweep-due runs, and less than the window lasts.
        let fits = (60..=86_340).contains(&self.before_s);
        if fits {
            return Vec::new();
        }
        vec![FieldError::new("/before_s", "must be 60 to 86,340 seconds: the window is open for 86,400")]
    }

    /// When it is time to tell of a window with this end.
    #[must_use]
    pub fn due_at(&self, until: Timestamp) -> Timestamp {
        until.checked_sub(SignedDuration::from_secs(self.before_s.into())).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_open_at_23_59_59_and_closed_at_24_00_00() {
        let written: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let end = Some(until(written));
        assert!(is_open(end, at("2026-11-20T12:00:00Z")));
        assert!(is_open(end, at("2026-11-21T11:59:59Z")));
        assert!(is_open(end, at("2026-11-21T11:59:59.999Z")));
        assert!(!is_open(end, at("2026-11-21T12:00:00Z")));
        assert!(!is_open(None, written));
    }
}
