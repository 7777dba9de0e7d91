//! The last look before a provider call: whether what was planned may still be said, to whom and in which form. Reads
//! for a whole batch at once; what speaks against sending is read once more, as of now, because a read of many things
//! may be a moment old. It comes before the claim, so that what is kept back has no attempt. deliver acts on it.

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Deadline, Delivery, Form, HeldReason, Preferences, Rendered, State, SwitchMode, TenantId,
    Timestamp, window,
};
use jiff::SignedDuration;

use crate::consent::objection;
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::{Account, Item, Key, StoreError};
use crate::reproduce::{Reproduced, kind_of};
use crate::store::directory::StoredRecipient;
use crate::store::escalations::taken_back_of;
use crate::store::pauses::Paused;
use crate::store::{from_item, keys, provider_templates, windows};
use crate::switches::LOOK_AGAIN_AT_SWITCH;
use crate::waits::Waits;
use crate::work::DeliveryWork;

/// When a delivery whose template Meta has paused is looked at again; Meta pauses for hours.
const TEMPLATE_PAUSED: SignedDuration = SignedDuration::from_mins(15);

/// What the last look says about one message.
#[derive(Debug)]
pub(crate) enum Look {
    /// It goes out, with these in place of what the message carries where they are given.
    Send(Option<(Address, Rendered)>),
    /// It waits; for a time, or for a condition alone.
    Hold(HeldReason, Option<Timestamp>),
    /// It will not be sent; the state, and a note in words.
    End(State, Option<String>),
}

/// Everything that is read about one message.
#[derive(Debug, Default)]
struct Seen {
    recipient: Option<StoredRecipient>,
    suppressed: bool,
    /// When the recipient's window closes.
    window: Option<Timestamp>,
    template_paused: bool,
    /// What a provider asked for, of the channel or of the recipient.
    pause: Option<Paused>,
    /// How a kill switch stops it.
    stopped: Option<SwitchMode>,
    /// That it is not the time of day for it.
    hours: Option<Waits>,
    /// Why and when its event was taken back.
    taken_back: Option<(PlainReason, Option<Timestamp>)>,
    /// The deadline that it reminds of.
    deadline: Option<Deadline>,
}

/// What is to be done, as far as the message is as it was queued.
#[derive(Debug, PartialEq)]
enum Decision {
    Send,
    /// The free text must become the approved template.
    AsTemplate,
    /// The recipient has another address now.
    To(Address),
    Hold(HeldReason, Option<Timestamp>),
    End(State, Option<&'static str>),
}

/// What the message is about to be sent as.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    delivery: &'a Delivery,
    to: &'a Address,
    form: Option<Form>,
}

/// Decides about one message. What ends it comes first, then what keeps it back, then its form.
fn decide(message: Message<'_>, seen: &Seen, defaults: &Preferences, now: Timestamp) -> Decision {
    let Message { delivery, to, form } = message;
    if now >= delivery.expires_at {
        return Decision::End(State::Expired(PlainReason::PastExpiry.into()), None);
    }
    if let Some((reason, at)) = seen.taken_back {
        // What somebody has asked for again since goes out all the same.
        let asked_again = delivery.revived.as_ref().is_some_and(|revival| Some(revival.at) >= at);
        // What tells of others too goes out for their sake.
        if !asked_again && !delivery.tells_of_others() {
            return Decision::End(State::Cancelled(reason.into()), None);
        }
    }
    if let Some(mark) = &delivery.deadline
        && seen.deadline.as_ref().is_none_or(|deadline| !deadline.owes(mark))
    {
        return Decision::End(State::Cancelled(PlainReason::DeadlineClosed.into()), None);
    }
    let no_address = State::Failed(PlainReason::NoAddress.into());
    let Some(StoredRecipient { recipient, preferences, .. }) = &seen.recipient else {
        return Decision::End(no_address, Some("the recipient was removed"));
    };
    match objection(recipient, preferences, defaults, seen.suppressed, &kind_of(delivery)) {
        None => {}
        Some(PlainReason::NoAddress) => {
            return Decision::End(no_address, Some("the address was removed"));
        }
        Some(reason) => return Decision::End(State::Skipped(reason.into()), None),
    }
    // What is kept back has its form looked at when it goes: that costs a rendering.
    match seen.stopped {
        Some(SwitchMode::Drop) => {
            return Decision::End(State::Skipped(PlainReason::SwitchedOff.into()), None);
        }
        Some(SwitchMode::Hold) => {
            return Decision::Hold(HeldReason::SwitchedOff, Some(plus(now, LOOK_AGAIN_AT_SWITCH)));
        }
        None => {}
    }
    if let Some(waits) = seen.hours {
        return Decision::Hold(waits.reason, waits.until);
    }
    if let Some(pause) = &seen.pause {
        return Decision::Hold(pause.reason, Some(pause.until));
    }
    if let Some(now_at) = recipient.address(delivery.channel)
        && now_at != *to
    {
        return Decision::To(now_at);
    }
    match form {
        Some(Form::Text) if delivery.form == Some(Form::Template) || !window::is_open(seen.window, now) => {
            Decision::AsTemplate
        }
        Some(Form::Template) if seen.template_paused => {
            Decision::Hold(HeldReason::TemplatePaused, Some(plus(now, TEMPLATE_PAUSED)))
        }
        _ => Decision::Send,
    }
}

impl Pipeline {
    /// Looks at the messages of a batch; an answer for each, in order.
    pub(crate) async fn look(&self, batch: &[DeliveryWork]) -> Vec<Result<Look, StoreError>> {
        let seen = match self.see(batch).await {
            Ok(seen) => seen,
            Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
        };
        let looks = batch.iter().zip(seen).map(|(work, seen)| async move {
            let defaults = &self.settings(&work.tenant).await?.preferences;
            match decide(Message::of(work), &seen, defaults, self.now()) {
                // Of an escalation nothing goes out after it was acknowledged: that is always asked as of now.
                // Neither does a reminder after its deadline was closed.
                Decision::Send if !work.delivery.escalates && work.delivery.deadline.is_none() => {
                    Ok(Look::Send(None))
                }
                _ => self.look_again(work).await,
            }
        });
        futures_util::future::join_all(looks).await
    }

    /// Reads everything about the messages of a batch at once.
    async fn see(&self, batch: &[DeliveryWork]) -> Result<Vec<Seen>, StoreError> {
        let mut asked = Vec::with_capacity(batch.len());
        for work in batch {
            asked.push(self.keys_of(work, &work.to, std::slice::from_ref(&work.to)).await?);
        }
        let all: Vec<Key> = asked.iter().flatten().map(|(_, key)| key.clone()).collect();
        let mut items = self.table.get_many(&all).await?.into_iter();
        let now = self.now();
        let mut seen = Vec::with_capacity(batch.len());
        for (work, keys) in batch.iter().zip(&asked) {
            let found = keys.iter().map(|(what, _)| (*what, items.next().flatten()));
            let stopped = self.switches(&work.tenant).await?.stop((&work.delivery).into());
            let read = Seen::of(found.collect(), now)?;
            let hours = self.hours_of(work, &read).await?;
            seen.push(Seen { stopped, hours, ..read });
        }
        Ok(seen)
    }

    async fn hours_of(&self, work: &DeliveryWork, read: &Seen) -> Result<Option<Waits>, StoreError> {
        match &read.recipient {
            Some(reader) => self.waits_for_hours(&work.tenant, &work.delivery, reader).await,
            None => Ok(None),
        }
    }

    /// What is read about one message that goes to this address.
    async fn keys_of(
        &self,
        work: &DeliveryWork,
        to: &Address,
        addresses: &[Address],
    ) -> Result<Vec<(What, Key)>, StoreError> {
        let (tenant, channel) = (&work.tenant, work.delivery.channel);
        let mut keys = vec![
            (What::Recipient, keys::recipient(tenant, work.delivery.id.recipient())),
            (What::Pause, keys::channel_pause(tenant, channel)),
            (What::TakenBack, keys::event_cancelled(tenant, &work.delivery.event_id)),
        ];
        if let Some(hash) = self.address_hash(tenant, channel, to) {
            keys.push((What::Suppression, keys::suppression(tenant, channel, &hash)));
            keys.push((What::Pause, keys::address_pause(tenant, channel, &hash)));
        }
        if let Some(mark) = &work.delivery.deadline {
            keys.push((What::Deadline, keys::deadlines::deadline(tenant, &mark.id)));
        }
        match &work.message {
            Rendered::WhatsappText { .. } => {
                if let Some(number) = self.whatsapp_number(tenant).await? {
                    let windows = self.window_keys(tenant, &number, addresses);
                    keys.extend(windows.into_iter().map(|key| (What::Window, key)));
                }
            }
            Rendered::WhatsappTemplate { name, language, .. } => {
                keys.push((What::Template, keys::provider_template(tenant, name, language)));
            }
            Rendered::Email { .. } | Rendered::InApp { .. } => {}
        }
        Ok(keys)
    }

    /// Looks at one message as of now, and does what its decision asks for.
    pub(crate) async fn look_again(&self, work: &DeliveryWork) -> Result<Look, StoreError> {
        let settings = self.settings(&work.tenant).await?;
        let stored = self.stored_recipient(&work.tenant, &work.delivery.recipient_id).await?;
        let person = stored.as_ref().map(|s| &s.recipient);
        let to = person.and_then(|p| p.address(work.delivery.channel)).unwrap_or_else(|| work.to.clone());
        let addresses = person.map_or_else(|| vec![to.clone()], windows::addresses);
        let mut found = Vec::new();
        for (what, key) in self.keys_of(work, &to, &addresses).await? {
            found.push((what, self.table.get(&key).await?));
        }
        let stopped = self.switches(&work.tenant).await?.stop((&work.delivery).into());
        let read = Seen::of(found, self.now())?;
        let hours = self.hours_of(work, &read).await?;
        let seen = Seen { stopped, hours, ..read };
        let message = Message { to: &to, ..Message::of(work) };
        match decide(message, &seen, &settings.preferences, self.now()) {
            Decision::Send if to == work.to => Ok(Look::Send(None)),
            Decision::Send | Decision::To(_) => Ok(Look::Send(Some((to, work.message.clone())))),
            Decision::AsTemplate => self.as_template(&work.tenant, &work.delivery).await,
            Decision::Hold(reason, until) => Ok(Look::Hold(reason, until)),
            Decision::End(state, note) => Ok(Look::End(state, note.map(str::to_owned))),
        }
    }

    /// The same said by the approved template, if there is one and it may be used.
    async fn as_template(&self, tenant: &TenantId, delivery: &Delivery) -> Result<Look, StoreError> {
        match self.reproduce_as(tenant, delivery, false).await? {
            Reproduced::Message(to, message) => match &message {
                Rendered::WhatsappTemplate { name, language, .. } => {
                    let key = keys::provider_template(tenant, name, language);
                    if provider_templates::is_paused(self.table.get(&key).await?)? {
                        let until = plus(self.now(), TEMPLATE_PAUSED);
                        return Ok(Look::Hold(HeldReason::TemplatePaused, Some(until)));
                    }
                    Ok(Look::Send(Some((to, message))))
                }
                _ => Ok(Look::Hold(HeldReason::WindowClosed, None)),
            },
            Reproduced::Unwanted(reason) => Ok(Look::End(State::Skipped(reason), None)),
            Reproduced::Impossible(reason, note) => Ok(Look::End(State::Failed(reason), note)),
        }
    }

    /// The number that a tenant sends from.
    pub(crate) async fn whatsapp_number(&self, tenant: &TenantId) -> Result<Option<String>, StoreError> {
        let account = self.account(tenant, carillon_domain::Channel::Whatsapp).await?;
        Ok(account.and_then(|account| match account.as_ref() {
            Account::Whatsapp { phone_number_id, .. } => Some(phone_number_id.clone()),
            Account::Email { .. } => None,
        }))
    }
}

/// What a key is read for.
#[derive(Debug, Clone, Copy)]
enum What {
    Recipient,
    Suppression,
    Window,
    Template,
    Pause,
    TakenBack,
    Deadline,
}

impl Seen {
    fn of(found: Vec<(What, Option<Item>)>, now: Timestamp) -> Result<Self, StoreError> {
        let mut seen = Self::default();
        for (what, item) in found {
            match what {
                What::Recipient => seen.recipient = item.map(from_item).transpose()?,
                What::Suppression => seen.suppressed = item.is_some(),
                What::Deadline => seen.deadline = item.map(from_item).transpose()?,
                What::TakenBack => seen.taken_back = item.as_ref().map(taken_back_of),
                What::Window => seen.window = seen.window.max(windows::until_of(item)?),
                What::Template => seen.template_paused = provider_templates::is_paused(item)?,
                // Of two the longer one.
                What::Pause => {
                    let other = Pipeline::paused(item, now)?;
                    if seen.pause.as_ref().map(|p| p.until) < other.as_ref().map(|p| p.until) {
                        seen.pause = other;
                    }
                }
            }
        }
        Ok(seen)
    }
}

impl<'a> Message<'a> {
    fn of(work: &'a DeliveryWork) -> Self {
        Self { delivery: &work.delivery, to: &work.to, form: Form::of(&work.message) }
    }
}
