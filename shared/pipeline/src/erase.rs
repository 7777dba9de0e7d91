//! Erasing a person at once: nothing that says who they are is left to read through any call. Whatever they were sent stays
//! counted, and each delivery stays as a delivery to nobody, so that statistics and ledger say what they said before.
//!
//! First the person is made inactive, so that nothing more is sent; then, page by page, what lies beside them goes, and what
//! others have written about them: events, deadlines, what dead messages said. Last the person, by whose name and addresses
//! the rest was found: an erasing that was cut short is completed by repeating it.

use carillon_domain::escalation::step_event_id;
use carillon_domain::forget::ERASED;
use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Channel, DeadlineState, Delivery, DeliveryId, Event, EventId, Forgotten, Preferences, Problem,
    Progress, RecipientId, RecipientKey, State, StateKind, TenantId, Traces,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Pipeline;
use crate::deliver::ended;
use crate::jobs::{JobInput, JobStep, StepError, Worked};
use crate::ports::{Key, StoreError};
use crate::store::dead_letters::DeadLetterRange;
use crate::store::deadlines::SavedDeadline;
use crate::store::deliveries::Saved;
use crate::store::directory::StoredRecipient;
use crate::store::keys;

/// How many items a step looks at.
const PAGE: usize = 100;

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Erasing {
    at: Stage,
    after: Option<String>,
    deliveries: u64,
    events: u64,
    deadlines: u64,
}

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    #[default]
    Beside,
    Deadlines,
    DeadLetters,
    Person,
}

impl Pipeline {
    /// Erases a person. None when there is nobody by that id, and nothing was ever sent to them.
    ///
    /// # Errors
    /// 503 when the store cannot be reached; repeating it completes what was begun.
    pub async fn erase(&self, tenant: &TenantId, id: &RecipientId) -> Result<Option<Worked>, Problem> {
        let recipient = self.recipient_key(tenant, id);
        let there = self.table.query(&keys::everything_of(tenant, &recipient, PAGE, None)).await?;
        let is_left = |(key, _): &(Key, _)| keys::delivery_id(key).is_none();
        let stored = self.recipient_by_key(tenant, &recipient).await?;
        let was_told = there.items.iter().any(|(_, item)| item.get("recipient_id") == Some(&json!(id)));
        if stored.is_none() && !was_told && !there.items.iter().any(is_left) {
            return Ok(None);
        }
        if stored.is_none() {
            // Removed before: their id is all that is left to go by, and the stages need somebody to read it from.
            self.put_one_off(tenant, id, &nobody()).await?;
        }
        tracing::info!(tenant.id = %tenant, recipient.key = %recipient, "erasing a person");
        self.work_or_start_job(tenant, JobInput::Erase { recipient }).await.map(Some)
    }

    /// Looks at the next page.
    pub(crate) async fn erase_step(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        mut so_far: Erasing,
    ) -> Result<JobStep<Erasing>, StepError> {
        let Some(stored) = self.recipient_by_key(tenant, person).await? else {
            return Ok(JobStep::Done(so_far.report()));
        };
        let traces = Traces::of(&stored.id, Some(&stored.recipient));
        let next = match so_far.at {
            Stage::Beside => {
                self.silence(tenant, &stored).await?;
                self.erase_beside(tenant, person, &traces, &mut so_far).await?
            }
            Stage::Deadlines => self.erase_deadlines(tenant, &stored.id, &traces, &mut so_far).await?,
            Stage::DeadLetters => self.erase_dead_letters(tenant, person, so_far.after.take()).await?,
            Stage::Person => {
                self.erase_addresses(tenant, &stored).await?;
                self.delete_recipient(tenant, &stored.id).await?;
                return Ok(JobStep::Done(so_far.report()));
            }
        };
        if next.is_none() {
            so_far.at = match so_far.at {
                Stage::Beside => Stage::Deadlines,
                Stage::Deadlines => Stage::DeadLetters,
                Stage::DeadLetters | Stage::Person => Stage::Person,
            };
        }
        so_far.after = next;
        Ok(JobStep::More { progress: Progress { done: so_far.deliveries, total: None }, checkpoint: so_far })
    }

    /// Sends them nothing any more.
    async fn silence(&self, tenant: &TenantId, stored: &StoredRecipient) -> Result<(), StoreError> {
        if !stored.recipient.active || stored.one_off {
            return Ok(());
        }
        let mut silent = stored.recipient.clone();
        silent.active = false;
        self.put_recipient_after(tenant, &stored.id, Some(stored.clone()), &silent).await?;
        self.put_preferences(tenant, &stored.id, &Preferences::default()).await.map(drop)
    }

    /// A page of what lies beside them: deliveries lose who they were for, everything else goes.
    async fn erase_beside(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        traces: &Traces,
        so_far: &mut Erasing,
    ) -> Result<Option<String>, StoreError> {
        let query = keys::everything_of(tenant, person, PAGE, so_far.after.take());
        let page = self.table.query(&query).await?;
        let own = keys::recipient(tenant, person);
        let mut gone = Vec::new();
        for (key, _) in page.items {
            let Some(id) = keys::delivery_id(&key) else {
                gone.extend((key != own).then_some(key));
                continue;
            };
            // The event first: the delivery leads to it.
            so_far.events += self.erase_from_event(tenant, id.event(), traces).await?;
            so_far.deliveries += u64::from(self.erase_from_delivery(tenant, &id).await?);
        }
        self.delete_all(gone).await?;
        Ok(page.next)
    }

    /// Takes them out of an event and of the steps of its escalation. Answers how many of those said something of them.
    async fn erase_from_event(
        &self,
        tenant: &TenantId,
        id: &EventId,
        traces: &Traces,
    ) -> Result<u64, StoreError> {
        let (mut changed, mut of, mut step) = (0, id.clone(), 0);
        while let Some(mut event) = self.event(tenant, &of).await? {
            if event.forgotten != Some(Forgotten::Retired) && event.forget_person(traces) {
                self.put_forgotten(tenant, &event).await?;
                self.erase_from_others(tenant, &event, traces).await?;
                changed += 1;
            }
            step += 1;
            of = step_event_id(tenant, event.acknowledged_with(), step);
        }
        Ok(changed)
    }

    /// Takes out of what others were told by an event what it said of the person: the subject, and items of feeds, which are
    /// kept as they were shown.
    async fn erase_from_others(
        &self,
        tenant: &TenantId,
        event: &Event,
        traces: &Traces,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let (page, next) = self.deliveries_of(tenant, &event.id, PAGE, after).await?;
            for mut before in page {
                while before.subject.as_deref().is_some_and(|subject| traces.are_in(subject)) {
                    let mut changed = before.clone();
                    changed.subject = None;
                    match self.save_delivery(tenant, before, changed).await? {
                        Saved::Done(saved) => before = *saved,
                        Saved::Overtaken(found) => before = *found,
                    }
                }
                let whole = event.input.data.is_empty();
                self.erase_from_feed(tenant, &before, |text| whole || traces.are_in(text)).await?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes a delivery one to nobody; what has not left is taken back. Answers whether it was theirs until now.
    async fn erase_from_delivery(&self, tenant: &TenantId, id: &DeliveryId) -> Result<bool, StoreError> {
        let Some(mut before) = self.delivery(tenant, id).await? else { return Ok(false) };
        let nobody = RecipientId::try_from(ERASED.to_owned())
            .map_err(|rule| StoreError::Refused(format!("the id of nobody {rule}")))?;
        loop {
            if before.recipient_id == nobody && !is_waiting(&before) {
                return Ok(false);
            }
            let mut after = if is_waiting(&before) {
                let mut taken_back =
                    ended(&before, State::Cancelled(PlainReason::CancelledBy.into()), self.now());
                taken_back.note = Some("the recipient was erased".to_owned());
                taken_back.fallback_at = None;
                taken_back
            } else {
                before.clone()
            };
            after.recipient_id = nobody.clone();
            after.subject = None;
            match self.save_delivery(tenant, before, after).await? {
                Saved::Done(_) => return Ok(true),
                Saved::Overtaken(found) => before = *found,
            }
        }
    }

    /// A page of the tenant's deadlines: who was to be reminded alone is not, and what names them goes.
    async fn erase_deadlines(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        traces: &Traces,
        so_far: &mut Erasing,
    ) -> Result<Option<String>, StoreError> {
        let states = [DeadlineState::Open, DeadlineState::Closed];
        let after = so_far.after.take();
        let (page, next) = self.list_deadlines(tenant, &states, (None, None), PAGE, after.as_deref()).await?;
        for listed in page {
            // Listed a moment ago: whoever changed it since comes first.
            let mut found = self.deadline(tenant, &listed.id).await?;
            while let Some(before) = found.take() {
                let mut after = before.clone();
                after.recipients.ids.retain(|one| one != id);
                let named = after.recipients != before.recipients;
                let alone = named && after.recipients.ids.is_empty() && after.recipients.groups.is_empty();
                if alone {
                    after.data.clear();
                    after.state = DeadlineState::Closed;
                    after.closed_at = after.closed_at.or_else(|| Some(self.now()));
                    after.next = None;
                }
                if !traces.take_out_of(&mut after.data) && !named {
                    break;
                }
                match self.save_deadline(tenant, Some(&before), &mut after).await? {
                    SavedDeadline::Done => so_far.deadlines += 1,
                    SavedDeadline::Overtaken(other) => found = other.map(|other| *other),
                }
            }
        }
        Ok(next)
    }

    /// A page of dead letters: what a message to them said goes.
    async fn erase_dead_letters(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        after: Option<String>,
    ) -> Result<Option<String>, StoreError> {
        let range = DeadLetterRange::default();
        let (page, next) = self.dead_letters(tenant, &range, PAGE, after.as_deref()).await?;
        let theirs =
            page.iter().filter(|l| l.delivery_id.as_ref().is_some_and(|id| id.recipient() == person));
        let pieces = theirs.flat_map(|letter| {
            (0..letter.pieces).map(|n| keys::dead_letter_piece(letter.tenant.as_ref(), &letter.id, n))
        });
        self.delete_all(pieces.collect()).await?;
        Ok(next)
    }

    /// What is kept under their addresses goes, except that nothing may be sent there: who objected must not be written to
    /// because they are forgotten.
    async fn erase_addresses(&self, tenant: &TenantId, stored: &StoredRecipient) -> Result<(), StoreError> {
        let person = &stored.recipient;
        let of = |channel, text: &Option<String>, made: fn(String) -> Address| {
            self.address_hash(tenant, channel, &made(text.clone()?))
        };
        let hashes = [
            of(Channel::Email, &person.email, Address::Email),
            of(Channel::Whatsapp, &person.phone, Address::Phone),
            of(Channel::Whatsapp, &person.bsuid, Address::Bsuid),
        ];
        for hash in hashes.into_iter().flatten() {
            let page = self.table.query(&keys::everything_at(tenant, &hash, 1_000)).await?;
            let keys = page.items.into_iter().map(|(key, _)| key);
            self.delete_all(keys.filter(|key| !key.sk().starts_with("SUPPRESSED#")).collect()).await?;
        }
        Ok(())
    }
}

/// Whether it has not left and nobody is at it.
fn is_waiting(delivery: &Delivery) -> bool {
    [StateKind::Pending, StateKind::Held, StateKind::Retrying].contains(&delivery.state.kind())
}

/// Somebody of whom nothing is known.
fn nobody() -> carillon_domain::Recipient {
    carillon_domain::Recipient {
        name: ERASED.to_owned(),
        email: None,
        phone: None,
        bsuid: None,
        locale: None,
        time_zone: None,
        roles: Vec::new(),
        team: false,
        active: false,
        data: serde_json::Map::new(),
    }
}

impl Erasing {
    fn report(&self) -> serde_json::Value {
        json!({
            "erased": true, "deliveries": self.deliveries, "events": self.events, "deadlines": self.deadlines
        })
    }
}
