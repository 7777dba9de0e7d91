//! Deciding: what one recipient is told because of one event, on which channels, in which words, or why not. Pure:
//! fan-out writes what is decided here and preview only shows it.

use carillon_domain::preferences::Kind;
use carillon_domain::state::PlainReason;
use carillon_domain::{
    Address, Attempt, Category, Channel, ChannelChoice, Cost, Delivery, DeliveryId, DigestRule, Event,
    Fallback, HeldReason, KeyKind, LocaleParts, Preferences, Priority, Reason, Recipient, RecipientId,
    RecipientKey, Rendered, Route, SendWindow, State, TemplateVersion, Tenant, Timestamp,
};
use jiff::SignedDuration;
use serde_json::Value;

use crate::begin::{Ended, begin};
use crate::consent::objection;
use crate::deliver::plus;
use crate::funds::Funds;
use crate::ports::{RenderJob, Renderer};
use crate::store::switches::Switches;
use crate::variables;
use crate::waits;

/// How long after it is due a message is still worth sending, where neither event nor route says it.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// What is decided once for the whole event.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// Whose event.
    pub tenant: &'a Tenant,
    /// The event.
    pub event: &'a Event,
    /// The template, in the version that every delivery pins.
    pub template: &'a TemplateVersion,
    /// The channels.
    pub channels: &'a ChannelChoice,
    /// The category.
    pub category: Category,
    /// The kind of reminder, if it is one.
    pub reminder: Option<&'a str>,
    /// The priority.
    pub priority: Priority,
    /// After this instant nothing is sent.
    pub expires_at: Timestamp,
    /// Neither event nor route says it: what has to wait for its hours is worth sending as long after them.
    pub expires_by_default: bool,
    /// The route's condition.
    pub when: Option<&'a str>,
    /// Other channels for those whom these do not reach.
    pub fallback: Option<&'a Fallback>,
    /// When its messages are sent.
    pub send_window: Option<&'a SendWindow>,
    /// What its messages are gathered by.
    pub digest: Option<&'a DigestRule>,
    /// Whether its template may be told of many events at once.
    pub gathers: bool,
    /// What those want who said nothing.
    pub defaults: &'a Preferences,
    /// What is stopped.
    pub switches: Switches,
    /// What cannot be paid for.
    pub funds: Funds,
}

/// One recipient, with everything that the store knows about telling them.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Their id.
    pub id: &'a RecipientId,
    /// What stands for them in keys.
    pub key: &'a RecipientKey,
    /// The person.
    pub person: &'a Recipient,
    /// What they want.
    pub preferences: &'a Preferences,
    /// The channels on which their address is on the suppression list.
    pub suppressed: &'a [Channel],
    /// They were told about this before, and are told once.
    pub told_before: bool,
    /// They wrote to the WhatsApp number less than 24 hours ago.
    pub window_open: bool,
    /// The link by which they acknowledge the event.
    pub acknowledge_url: &'a str,
}

impl<'a> Terms<'a> {
    /// The terms of an event under its route, or under its own template and channels, while nothing is stopped.
    #[must_use]
    pub fn new(
        tenant: &'a Tenant,
        event: &'a Event,
        route: Option<&'a Route>,
        template: &'a TemplateVersion,
        channels: &'a ChannelChoice,
        defaults: &'a Preferences,
    ) -> Self {
        let after = route
            .and_then(|r| r.expires_after_s)
            .map_or(EXPIRES_AFTER, |s| SignedDuration::from_secs(s.into()));
        let default_expiry = plus(event.first_due_at(), after);
        let category = event.input.category.or(route.map(|r| r.category)).unwrap_or_default();
        // A direct send says its template and channels itself.
        let whole = route.filter(|_| event.direct().is_none());
        Self {
            tenant,
            event,
            template,
            channels,
            category,
            reminder: event.reminder_kind().or(route.and_then(|r| r.reminder.as_deref())),
            priority: event.input.priority.or(route.map(|r| r.priority)).unwrap_or_default(),
            expires_at: event.input.expires_at.unwrap_or(default_expiry),
            expires_by_default: event.input.expires_at.is_none()
                && route.is_none_or(|r| r.expires_after_s.is_none()),
            when: route.and_then(|r| r.when.as_deref()),
            fallback: whole.and_then(|r| r.fallback.as_ref()),
            send_window: route.and_then(|r| r.send_window.as_ref()),
            digest: whole.and_then(|r| r.digest.as_ref()).filter(|_| category != Category::Critical),
            gathers: whole.is_some_and(|r| r.digest.is_some()),
            defaults,
            switches: Switches::default(),
            funds: Funds::default(),
        }
    }
}

/// A delivery that was decided, and what is to be sent if it is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The delivery, in its first state.
    pub delivery: Delivery,
    /// Where it goes and what is said; none when it ends at once, or waits.
    pub send: Option<(Address, Rendered)>,
    /// What is said when it has waited for a time, as far as that is known today: what a preview shows.
    pub later: Option<Rendered>,
    /// What sending it is expected to cost, now or later.
    pub cost: Option<Cost>,
}

impl Planned {
    /// Whether the recipient is told, now or when it has waited.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.send.is_some() || matches!(self.delivery.state, State::Held(_))
    }

    /// Whether its channel says it, so that no other one has to: now, or when it has waited for a time.
    fn works(&self) -> bool {
        match self.delivery.state {
            State::Held(reason) => reason != HeldReason::WindowClosed,
            _ => self.send.is_some(),
        }
    }
}

/// Decides everything for one recipient.
#[must_use]
pub fn plan(terms: &Terms<'_>, renderer: &dyn Renderer, reader: &Reader<'_>, now: Timestamp) -> Vec<Planned> {
    let locale = terms.template.template.locale_for(reader.person.locale.as_deref(), &terms.tenant.locale);
    let locale = locale.map_or("", |(locale, _)| locale);
    let said_at = variables::said_at(terms.event, now);
    let mut context = variables::context(terms.tenant, terms.event, reader.id, reader.person, said_at);
    if terms.gathers {
        variables::tell_of(&mut context, &[terms.event]);
    }
    context["acknowledge_url"] = reader.acknowledge_url.into();
    let unwanted = unwanted(terms, renderer, reader, &context);
    let first_wait = waits::first_wait(terms, reader, now);
    let one = |channel: Channel| -> Planned {
        let delivery = first_form(terms, reader, channel, locale, now);
        let decision = match &unwanted {
            Some(reason) => Err((State::Skipped(reason.clone()), None)),
            None => decide(terms, renderer, reader, channel, locale, &context),
        };
        begin(terms, first_wait, delivery, decision, now)
    };
    let first_of = |channels: &[Channel]| -> Vec<Planned> {
        let mut tried: Vec<Planned> = Vec::new();
        for channel in channels {
            let planned = one(*channel);
            let works = planned.works();
            tried.push(planned);
            if works {
                wait_for_no_window(&mut tried);
                break;
            }
        }
        tried
    };
    let mut planned: Vec<Planned> = match terms.channels {
        ChannelChoice::All(channels) => channels.iter().map(|c| one(*c)).collect(),
        ChannelChoice::FirstOf(channels) => first_of(channels),
    };
    if let (Some(fallback), None) = (terms.fallback, &unwanted) {
        match planned.iter_mut().find(|one| one.works()) {
            // What is held has not been tried; its failure is followed by the fallback all the same.
            Some(first) if first.send.is_none() && first.later.is_none() => {}
            Some(first) => {
                let after = fallback.after_s.map(|s| SignedDuration::from_secs(s.into()));
                let due_at = first.delivery.held_until.unwrap_or(now);
                first.delivery.fallback_at = after.map(|after| plus(due_at, after));
            }
            // Nobody to wait for: the fallback is all there is.
            None if terms.event.key_kind != KeyKind::Test => {
                planned.extend(first_of(&fallback.channels));
                if planned.iter().any(Planned::works) {
                    wait_for_no_window(&mut planned);
                }
            }
            None => {}
        }
    }
    // The window that counts is the one of then.
    if let Some(waits) = first_wait {
        for one in planned.iter_mut().filter(|one| waits_for_window(&one.delivery)) {
            waits.hold(&mut one.delivery);
            one.delivery.note = None;
        }
    }
    planned
}

fn waits_for_window(delivery: &Delivery) -> bool {
    delivery.state == State::Held(HeldReason::WindowClosed)
}

/// Another channel says it: nobody waits for the recipient to write first.
fn wait_for_no_window(planned: &mut [Planned]) {
    for one in planned.iter_mut().filter(|one| waits_for_window(&one.delivery)) {
        one.delivery.state = State::Skipped(PlainReason::WindowClosed.into());
    }
}

/// Reasons to tell a recipient nothing at all.
fn unwanted(
    terms: &Terms<'_>,
    renderer: &dyn Renderer,
    reader: &Reader<'_>,
    context: &Value,
) -> Option<Reason> {
    if !reader.person.active {
        return Some(PlainReason::Inactive.into());
    }
    match terms.event.key_kind {
        // What is posted with a test key is decided and rendered like everything else, and kept back at the end.
        KeyKind::Live | KeyKind::Test => {}
        KeyKind::Team if reader.person.team => {}
        KeyKind::Team => return Some(PlainReason::NotTeam.into()),
    }
    if reader.told_before {
        return Some(PlainReason::AlreadyTold.into());
    }
    let condition = terms.when?;
    match renderer.condition(condition, context) {
        Ok(true) => None,
        // A condition that cannot be evaluated does not hold; it was checked when the route was stored.
        Ok(false) | Err(_) => Some(PlainReason::NoCondition.into()),
    }
}

fn decide(
    terms: &Terms<'_>,
    renderer: &dyn Renderer,
    reader: &Reader<'_>,
    channel: Channel,
    locale: &str,
    context: &Value,
) -> Result<(Address, Rendered), Ended> {
    let skipped = |reason: PlainReason| Err((State::Skipped(reason.into()), None));
    let kind = Kind { category: terms.category, channel, reminder: terms.reminder };
    let suppressed = reader.suppressed.contains(&channel);
    if let Some(reason) = objection(reader.person, reader.preferences, terms.defaults, suppressed, &kind) {
        return skipped(reason);
    }
    let Some(address) = reader.person.address(channel) else { return skipped(PlainReason::NoAddress) };
    let window_open = channel == Channel::Whatsapp && reader.window_open;
    let parts = terms.template.template.locales.get(locale);
    if channel == Channel::Whatsapp && !window_open && parts.is_some_and(LocaleParts::needs_window) {
        let note = "free text without an approved template: waits until the recipient writes";
        return Err((State::Held(HeldReason::WindowClosed), Some(note.to_owned())));
    }
    let job = RenderJob {
        tenant: terms.tenant.id.as_str(),
        template: terms.template,
        locale,
        channel,
        window_open,
        context,
    };
    match renderer.render(&job) {
        Ok(message) => Ok((address, message)),
        Err(error) => {
            let note = bounded(&format!(
                "template {} version {}: {error}",
                terms.template.name, terms.template.version
            ));
            Err((State::Failed(Reason::Rejected("template".to_owned())), Some(note)))
        }
    }
}

fn first_form(
    terms: &Terms<'_>,
    reader: &Reader<'_>,
    channel: Channel,
    locale: &str,
    now: Timestamp,
) -> Delivery {
    Delivery {
        id: DeliveryId::new(reader.key.clone(), terms.event.id.clone(), channel),
        event_id: terms.event.id.clone(),
        event_type: terms.event.input.event_type.clone(),
        subject: terms.event.input.subject.clone(),
        recipient_id: reader.id.clone(),
        channel,
        category: terms.category,
        reminder: terms.reminder.map(str::to_owned),
        priority: terms.priority,
        template: Some(terms.template.name.clone()),
        version: Some(terms.template.version),
        locale: Some(locale.to_owned()),
        form: None,
        state: State::Pending,
        held_until: None,
        retry_at: None,
        fallback_at: None,
        expires_at: terms.expires_at,
        rev: 1,
        spread: false,
        escalates: terms.event.escalates.is_some(),
        deadline: terms.event.deadline_mark(),
        digest: None,
        carried_by: None,
        calls: 0,
        tries: 0,
        owner: None,
        lease_until: None,
        created_at: now,
        changed_at: now,
        note: None,
        resends: 0,
        revived: None,
        due_at: None,
        test: terms.event.key_kind == KeyKind::Test,
        earlier_micros: 0,
        provider_message_id: None,
        attempts: std::collections::BTreeMap::new(),
        receipts: std::collections::BTreeMap::new(),
    }
}

/// At most as much text as an item may carry.
#[must_use]
pub fn bounded(text: &str) -> String {
    text.chars().take(Attempt::DETAIL_CHARS).collect()
}
