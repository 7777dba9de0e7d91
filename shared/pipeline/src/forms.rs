//! The forms of an event that reminds at an hour of each reader's own: one for each zone among a page of readers. Any other
//! event has one form.

use std::collections::BTreeMap;

use carillon_domain::reminder::zone_of;
use carillon_domain::{Event, Recipient, RecipientKey, Tenant};

use crate::store::directory::StoredRecipient;

/// An event as it is due in each zone of some people.
pub(crate) struct Forms(Option<BTreeMap<Option<String>, Option<Event>>>);

impl Forms {
    /// The forms that these people need.
    pub(crate) fn of(
        event: &Event,
        owner: &Tenant,
        people: &[(RecipientKey, Option<StoredRecipient>)],
    ) -> Self {
        if event.reminder_kind().is_none() {
            return Self(None);
        }
        let mut forms = BTreeMap::new();
        for (_, person) in people {
            let zone = person.as_ref().and_then(|person| person.recipient.time_zone.as_deref());
            let form = || event.due_in(&zone_of(zone, &owner.time_zone));
            forms.entry(zone.map(str::to_owned)).or_insert_with(form);
        }
        Self(Some(forms))
    }

    /// The form for somebody; none when it is not owed to them.
    pub(crate) fn form_for<'a>(&'a self, event: &'a Event, person: &Recipient) -> Option<&'a Event> {
        match &self.0 {
            None => Some(event),
            Some(forms) => forms.get(&person.time_zone)?.as_ref(),
        }
    }
}
