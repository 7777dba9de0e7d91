//! Whether a recipient may be told something on a channel. Pure; asked when a delivery is planned, when it is rendered
//! again, and right before each provider call.

use carillon_domain::preferences::{Kind, is_wanted};
use carillon_domain::state::PlainReason;
use carillon_domain::{Preferences, Recipient};

/// What stands against telling a recipient something: the first of these that holds.
#[must_use]
pub(crate) fn objection(
    person: &Recipient,
    preferences: &Preferences,
    defaults: &Preferences,
    suppressed: bool,
    kind: &Kind<'_>,
) -> Option<PlainReason> {
    if !person.active {
        return Some(PlainReason::Inactive);
    }
    if person.address(kind.channel).is_none() {
        return Some(PlainReason::NoAddress);
    }
    if suppressed {
        return Some(PlainReason::Suppressed);
    }
    (!is_wanted(preferences, defaults, kind)).then_some(PlainReason::OptedOut)
}

#[cfg(test)]
mod tests {
    use carillon_domain::{Category, Channel};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_objection_counts() {
        let person = |body: serde_json::Value| serde_json::from_value::<Recipient>(body).unwrap();
        let no: Preferences = serde_json::from_value(json!({"channels": {"email": false}})).unwrap();
        let kind = Kind { category: Category::Marketing, channel: Channel::Email, reminder: None };
        let critical = Kind { category: Category::Critical, ..kind };
        let ada = person(json!({"name": "Ada", "email": "ada@example.com"}));
        let off = person(json!({"name": "Ada", "active": false}));
        let mute = person(json!({"name": "Ada"}));
        let silent = Preferences::default();
        for (person, preferences, suppressed, kind, found) in [
            (&off, &no, true, &kind, Some(PlainReason::Inactive)),
            (&mute, &no, true, &kind, Some(PlainReason::NoAddress)),
            (&ada, &no, true, &kind, Some(PlainReason::Suppressed)),
            (&ada, &no, false, &kind, Some(PlainReason::OptedOut)),
            (&ada, &no, false, &critical, None),
            (&ada, &silent, false, &kind, None),
        ] {
            assert_eq!(objection(person, preferences, &silent, suppressed, kind), found);
        }
    }
}
