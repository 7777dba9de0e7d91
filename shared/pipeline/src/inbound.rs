//! receipts: what people write to a WhatsApp number. It opens the 24-hour window, lets go what waited for it, and obeys
//! STOP and START. What was written is not kept: only when, and which keyword it was. Repeating it changes nothing.

use carillon_domain::keyword::Keyword;
use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Category, Channel, Delivery, DeliveryId, Form, HeldReason, Recipient, State, TenantId,
    Timestamp, Token, window,
};
use futures_util::future::try_join_all;

use crate::context::Pipeline;
use crate::deliver::{ended, plus};
use crate::due::LOOK_AGAIN;
use crate::ports::{Queue, StoreError};
use crate::reproduce::Reproduced;
use crate::store::deliveries::Saved;
use crate::store::windows::{Window, addresses};
use crate::work::{DeliveryWork, WorkError};

/// The reason of a suppression that STOP made, which START takes away again.
const STOPPED: &str = "stop";

/// How many deliveries that waited are let go side by side.
const AT_ONCE: usize = 25;

/// How many rounds of those one message makes; nobody has more waiting for them.
const ROUNDS: usize = 40;

/// One thing that a person did on WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Their addresses, as far as Meta names them. Their debug form hides them.
    pub from: Vec<Address>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub said: Said,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// They wrote; the keyword, if the whole message was one.
    Message(Option<Keyword>),
    /// They pressed the button by which the message of this call is acknowledged; and the keyword, if its words are one.
    Acknowledged(Option<Keyword>, Token),
    /// They told WhatsApp whether they want marketing from this business.
    Marketing(bool),
}

impl Pipeline {
    /// Takes note of what a person did at a number of the tenant.
    pub async fn record_inbound(
        &self,
        tenant: &TenantId,
        number: &str,
        inbound: &Inbound,
    ) -> Result<(), WorkError> {
        // A clock that is ahead of ours must not open a window for longer.
        let at = inbound.at.min(self.now());
        match &inbound.said {
            // What is pressed is written too: it opens the window.
            Said::Message(keyword) | Said::Acknowledged(keyword, _) => {
                if let Said::Acknowledged(_, token) = &inbound.said {
                    self.acknowledge_pressed(tenant, token).await?;
                }
                for address in &inbound.from {
                    self.hear(tenant, number, &inbound.from, address, at, *keyword).await?;
                }
                if window::is_open(Some(window::until(at)), self.now()) {
                    for address in &inbound.from {
                        self.let_go(tenant, address).await?;
                    }
                }
            }
            Said::Marketing(wanted) => {
                let Some(owner) = self.owner_of(tenant, &inbound.from).await? else { return Ok(()) };
                let person = self.recipient_key(tenant, &owner);
                let change = |p: &mut carillon_domain::Preferences| {
                    p.say(Category::Marketing, Channel::Whatsapp, *wanted);
                };
                self.change_preferences(tenant, &person, change).await?;
                tracing::info!(tenant.id = %tenant, recipient.key = %person, wanted, "marketing on WhatsApp");
            }
        }
        Ok(())
    }

    /// Opens the window of one address, and obeys a keyword that is news.
    async fn hear(
        &self,
        tenant: &TenantId,
        number: &str,
        everything: &[Address],
        address: &Address,
        at: Timestamp,
        keyword: Option<Keyword>,
    ) -> Result<(), StoreError> {
        loop {
            let before = self.window(tenant, number, address).await?;
            let mut after = Window::after(before.as_ref(), at, keyword);
            if before.as_ref() == Some(&after) {
                return Ok(());
            }
            if before.as_ref().is_none_or(|before| before.until != after.until) {
                after = self.to_be_reminded(tenant, everything, after).await?;
            }
            // Obeyed first: a crash in between obeys it twice, which changes nothing.
            if let Some(keyword) = keyword.filter(|k| Window::is_news(before.as_ref(), at, *k)) {
                self.obey(tenant, everything, keyword).await?;
            }
            if self.put_window(tenant, number, address, before.as_ref(), after).await? {
                return Ok(());
            }
        }
    }

    async fn obey(&self, tenant: &TenantId, from: &[Address], keyword: Keyword) -> Result<(), StoreError> {
        let channel = Channel::Whatsapp;
        let owner = self.owner_of(tenant, from).await?.map(|id| self.recipient_key(tenant, &id));
        let stop = keyword == Keyword::Stop;
        match &owner {
            Some(person) => {
                let change = |p: &mut carillon_domain::Preferences| {
                    if stop { p.stop(channel) } else { p.start(channel) }
                };
                self.change_preferences(tenant, person, change).await?;
            }
            // Somebody whom an event brought, or whom nobody knows: only the address can be remembered.
            None if stop => {
                for address in from {
                    self.suppress(tenant, channel, address, STOPPED).await?;
                }
            }
            None => {}
        }
        if !stop {
            for address in from {
                self.unsuppress_for(tenant, channel, address, STOPPED).await?;
            }
        }
        let recipient = owner.as_ref().map(carillon_domain::RecipientKey::as_str);
        tracing::info!(tenant.id = %tenant, recipient.key = recipient, keyword = ?keyword, "a keyword was obeyed");
        Ok(())
    }

    /// Lets go everything that waited for whoever has this address to write.
    async fn let_go(&self, tenant: &TenantId, address: &Address) -> Result<(), WorkError> {
        for _ in 0..ROUNDS {
            let some = self.waiting(tenant, address, AT_ONCE).await?;
            if some.is_empty() {
                return Ok(());
            }
            try_join_all(some.iter().map(|id| async move {
                self.release(tenant, id).await?;
                Ok::<_, WorkError>(self.delete_waiting(tenant, address, id).await?)
            }))
            .await?;
        }
        tracing::warn!(tenant.id = %tenant, "more deliveries wait for a person than one message lets go");
        Ok(())
    }

    /// Queues a delivery that was held for the window, if it still is.
    async fn release(&self, tenant: &TenantId, id: &DeliveryId) -> Result<(), WorkError> {
        let Some(before) = self.delivery(tenant, id).await? else { return Ok(()) };
        if before.state != State::Held(HeldReason::WindowClosed) {
            return Ok(());
        }
        // Whatever was refused before, the person has written since.
        let asked = Delivery { form: None, ..before.clone() };
        let now = self.now();
        let (mut after, send) = match self.reproduce_to_send(tenant, &asked).await? {
            Reproduced::Message(to, message) => {
                let mut after = ended(&before, State::Pending, now);
                after.form = Form::of(&message);
                after.note = None;
                after.retry_at = Some(plus(now, LOOK_AGAIN));
                (after, Some((to, message)))
            }
            Reproduced::Unwanted(reason) => (ended(&before, State::Skipped(reason), now), None),
            Reproduced::Impossible(reason, note) => {
                (Delivery { note, ..ended(&before, State::Failed(reason), now) }, None)
            }
        };
        self.owe_fallback(tenant, &before, &mut after).await?;
        self.pace(tenant, [&mut after]).await?;
        // Overtaken: whoever moved it decided on what is true now.
        let Saved::Done(delivery) = self.save_delivery(tenant, before, after).await? else { return Ok(()) };
        tracing::info!(tenant.id = %tenant, delivery.id = %id, delivery.state = %delivery.state.kind(), "the window is open");
        if let Some((to, message)) = send.filter(|_| delivery.state == State::Pending) {
            let work = DeliveryWork { tenant: tenant.clone(), delivery: *delivery, to, message };
            self.queues.send(Queue::Whatsapp, vec![self.queued(&work)]).await?;
        }
        Ok(())
    }

    /// Whether the window between a tenant's number and a person is open, as of now.
    pub(crate) async fn window_is_open(
        &self,
        tenant: &TenantId,
        person: &Recipient,
    ) -> Result<bool, StoreError> {
        let Some(number) = self.whatsapp_number(tenant).await? else { return Ok(false) };
        let until = self.window_until(tenant, &number, &addresses(person)).await?;
        Ok(window::is_open(until, self.now()))
    }

    /// Notes that a delivery waits for its recipient to write. Comes before its state, so that nothing waits unnoted.
    pub(crate) async fn note_waiting(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let Some(stored) = self.stored_recipient(tenant, &delivery.recipient_id).await? else {
            return Ok(());
        };
        self.put_waiting(tenant, &addresses(&stored.recipient), &delivery.id, delivery.expires_at).await
    }

    /// Looks once more after a delivery was held for the window: a message that came in between has not seen it. The
    /// sweep lets it go.
    pub(crate) async fn catch_open_window(
        &self,
        tenant: &TenantId,
        held: Delivery,
    ) -> Result<(), StoreError> {
        // Meta has refused free text although the window seemed open: only a new message helps.
        if held.state != State::Held(HeldReason::WindowClosed) || held.form == Some(Form::Template) {
            return Ok(());
        }
        let Some(stored) = self.stored_recipient(tenant, &held.recipient_id).await? else { return Ok(()) };
        if !self.window_is_open(tenant, &stored.recipient).await? {
            return Ok(());
        }
        let after = Delivery { held_until: Some(self.now()), ..held.clone() };
        self.save_delivery(tenant, held, after).await.map(drop)
    }
}

/// The state of a delivery whose time ran out while it was held.
pub(crate) fn expired_while_held(reason: HeldReason) -> PlainReason {
    match reason {
        HeldReason::WindowClosed => PlainReason::WindowClosed,
        _ => PlainReason::PastExpiry,
    }
}
