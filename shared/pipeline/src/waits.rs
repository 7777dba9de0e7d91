//! What a message waits for although it could be sent: `deliver_at`, its digest, the reader's quiet hours, the route's send
//! window, the route's throttle. Planning asks with what it has read of everybody; sweep-due, when such a wait is over,
//! and the last look before a call ask about one delivery.

use carillon_domain::quiet::{Allowed, allowed, zone_of};
use carillon_domain::state::PlainReason;
use carillon_domain::{
    Category, Delivery, Event, HeldReason, Preferences, Recipient, Route, SendWindow, State, TenantId,
    ThrottleMode, Timestamp,
};
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::digest::Gathered;
use crate::plan::{Planned, Reader, Terms};
use crate::ports::StoreError;
use crate::store::directory::StoredRecipient;
use crate::throttle::Made;
use crate::work::WorkError;

/// For what a message waits, and until when; without an end it waits until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) reason: HeldReason,
    pub(crate) until: Option<Timestamp>,
}

impl Waits {
    /// Lets a delivery wait.
    pub(crate) fn hold(self, delivery: &mut Delivery) {
        delivery.state = State::Held(self.reason);
        delivery.held_until = self.until;
        delivery.retry_at = None;
    }
}

/// Whose day it is, and what they and the route say of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hours<'a> {
    pub(crate) category: Category,
    pub(crate) person: &'a Recipient,
    pub(crate) preferences: &'a Preferences,
    pub(crate) defaults: &'a Preferences,
    pub(crate) tenant_zone: &'a str,
    pub(crate) window: Option<&'a SendWindow>,
}

impl Hours<'_> {
    /// Until when the reader is not to be disturbed, or the route's window is closed. What is critical disturbs.
    pub(crate) fn wait(&self, now: Timestamp) -> Option<Waits> {
        let quiet = self.preferences.quiet_hours.as_ref().or(self.defaults.quiet_hours.as_ref());
        if self.category == Category::Critical || (quiet.is_none() && self.window.is_none()) {
            return None;
        }
        let zone = zone_of(&[self.person.time_zone.as_deref(), Some(self.tenant_zone)]);
        let until = match allowed(now, &zone, quiet, self.window) {
            Allowed::Now => return None,
            Allowed::From(at) => Some(at),
            Allowed::Never => None,
        };
        Some(Waits { reason: HeldReason::QuietHours, until })
    }
}

/// What the messages of an event wait for before anything else is asked about them.
pub(crate) fn scheduled(terms: &Terms<'_>, now: Timestamp) -> Option<Waits> {
    let until = terms.event.input.deliver_at.filter(|at| *at > now)?;
    Some(Waits { reason: HeldReason::Scheduled, until: Some(until) })
}

/// What a reader's messages of an event wait for when they are planned. The end of a digest is settled when it is joined.
pub(crate) fn first_wait(terms: &Terms<'_>, reader: &Reader<'_>, now: Timestamp) -> Option<Waits> {
    if let Some(waits) = scheduled(terms, now) {
        return Some(waits);
    }
    if let Some(rule) = terms.digest {
        let until = Some(plus(now, SignedDuration::from_secs(rule.window_s.into())));
        return Some(Waits { reason: HeldReason::Digest, until });
    }
    let hours = Hours {
        category: terms.category,
        person: reader.person,
        preferences: reader.preferences,
        defaults: terms.defaults,
        tenant_zone: &terms.tenant.time_zone,
        window: terms.send_window,
    };
    hours.wait(now)
}

/// What becomes of a delivery whose wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onward {
    /// It goes on.
    Goes,
    /// It waits for something else, or has ended: as its next form says.
    Becomes,
    /// Another delivery has to be moved on first; the next run comes again.
    Stays,
}

impl Pipeline {
    /// Lets planned deliveries into their digests and through the route's throttle.
    pub(crate) async fn line_up(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        planned: &mut [Planned],
    ) -> Result<(), WorkError> {
        let Some(route) = route.filter(|route| route.digest.is_some() || route.throttle.is_some()) else {
            return Ok(());
        };
        let ids: Vec<_> = planned.iter().map(|one| one.delivery.id.clone()).collect();
        // What an earlier run of the same fan-out has made stays as it is.
        let made = self.deliveries(tenant, &ids).await?;
        if let Some(rule) = &route.digest {
            self.join_digests(tenant, event, rule, &made, planned).await?;
        }
        if let Some(throttle) = &route.throttle {
            self.throttle_planned(tenant, event, *throttle, Made::Earlier(&made), planned).await?;
        }
        Ok(())
    }

    /// Whether a delivery must wait for its reader's day, by what is stored of them and of the route.
    pub(crate) async fn waits_for_hours(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        reader: &StoredRecipient,
    ) -> Result<Option<Waits>, StoreError> {
        if delivery.category == Category::Critical {
            return Ok(None);
        }
        let settings = self.settings(tenant).await?;
        let route = self.route(tenant, &delivery.event_type).await?;
        let window = route.as_ref().and_then(|route| route.send_window.as_ref());
        let quiet = reader.preferences.quiet_hours.is_some() || settings.preferences.quiet_hours.is_some();
        if window.is_none() && !quiet {
            return Ok(None);
        }
        let owner = self.tenant(tenant).await?;
        let hours = Hours {
            category: delivery.category,
            person: &reader.recipient,
            preferences: &reader.preferences,
            defaults: &settings.preferences,
            tenant_zone: owner.as_ref().map_or("UTC", |owner| owner.time_zone.as_str()),
            window,
        };
        Ok(hours.wait(self.now()))
    }

    /// Lets a delivery whose wait is over into its digest, or closes the one that it has waited for.
    pub(crate) async fn gather(
        &self,
        tenant: &TenantId,
        before: &Delivery,
        next: &mut Delivery,
    ) -> Result<Onward, WorkError> {
        if let Some(mark) = before.digest.as_ref().filter(|mark| mark.is_open()) {
            return Ok(match self.close_digest(tenant, before, mark).await? {
                Gathered::Carries { carried, expires_at } => {
                    next.digest.get_or_insert_with(|| mark.clone()).carries = Some(carried);
                    next.expires_at = expires_at;
                    Onward::Goes
                }
                Gathered::CarriedBy(other) => {
                    next.state = State::Skipped(PlainReason::Digested.into());
                    next.retry_at = None;
                    next.carried_by = Some(other);
                    Onward::Becomes
                }
                Gathered::NotYet => Onward::Stays,
            });
        }
        let waited = matches!(before.state, State::Held(HeldReason::Scheduled | HeldReason::SwitchedOff));
        if !waited || before.digest.is_some() || before.calls > 0 || before.category == Category::Critical {
            return Ok(Onward::Goes);
        }
        let route = self.route(tenant, &before.event_type).await?;
        let Some(rule) = route.as_ref().and_then(|route| route.digest.as_ref()) else {
            return Ok(Onward::Goes);
        };
        let Some(event) = self.event(tenant, &before.event_id).await? else { return Ok(Onward::Goes) };
        if event.direct().is_some() {
            return Ok(Onward::Goes);
        }
        let joined = self.join_digest(tenant, &event, rule, next).await?;
        Ok(if joined { Onward::Becomes } else { Onward::Goes })
    }

    /// Whether a delivery that could be sent now waits all the same: for its reader's day, or for room.
    pub(crate) async fn wait_on(
        &self,
        tenant: &TenantId,
        before: &Delivery,
        next: &mut Delivery,
    ) -> Result<Onward, WorkError> {
        let reader = self.stored_recipient(tenant, &before.recipient_id).await?;
        if let Some(reader) = reader
            && let Some(waits) = self.waits_for_hours(tenant, before, &reader).await?
        {
            waits.hold(next);
            return Ok(Onward::Becomes);
        }
        let route = self.route(tenant, &before.event_type).await?;
        let Some(throttle) = route.as_ref().and_then(|route| route.throttle) else { return Ok(Onward::Goes) };
        if before.calls > 0 || before.category == Category::Critical {
            return Ok(Onward::Goes);
        }
        let (person, event) = (before.id.recipient(), &before.event_id);
        let room = self.take_room(tenant, person, before.category, event, throttle).await?;
        match (room, throttle.mode) {
            (None, _) => Ok(Onward::Goes),
            (Some(at), ThrottleMode::Defer) => {
                Waits { reason: HeldReason::Throttled, until: Some(at) }.hold(next);
                Ok(Onward::Becomes)
            }
            (Some(_), ThrottleMode::Drop) => {
                next.state = State::Skipped(PlainReason::Throttled.into());
                next.fallback_at = None;
                next.retry_at = None;
                Ok(Onward::Becomes)
            }
        }
    }
}
