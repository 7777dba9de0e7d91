//! What a run is about, as data: who there is, which routes, what is posted and who opts out. A new capability is tried
//! by a route or a [`Wish`] more.

use carillon_domain::pacing::ChannelPace;
use carillon_domain::{Category, Channel, SwitchMode, SwitchScope, SwitchSetting};
use carillon_pipeline::pace::Pace;
use carillon_pipeline::store::settings::Settings;
use serde_json::{Value, json};

use super::chance::Chance;

/// When every run begins, in milliseconds since 1970.
pub(super) const BEGIN_MS: i64 = 1_795_000_000_000;

const MINUTE_MS: i64 = 60_000;
pub(super) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// The tenant of every run.
pub(super) const TENANT: &str = "acme";

/// A recipient and what is stored about them.
pub(super) fn recipients() -> Vec<(&'static str, Value)> {
    vec![
        ("ada", json!({"name": "Ada", "phone": "+12025550117", "email": "ada@example.com"})),
        ("ben", json!({"name": "Ben", "phone": "+12025550118"})),
        ("cleo", json!({"name": "Cleo", "email": "cleo@example.com"})),
        (
            "dora",
            json!({"name": "Dora", "phone": "+12025550119", "email": "dora@example.com", "active": false}),
        ),
        ("emil", json!({"name": "Emil"})),
    ]
}

/// The groups and their members.
pub(super) const GROUPS: &[(&str, &[&str])] = &[("crew", &["ada", "ben", "cleo", "emil"])];

/// The number that WhatsApp messages come from.
pub(super) const NUMBER: &str = "100000000000001";

/// The templates: one that says the same on every channel, and one that only goes to whom writes.
pub(super) fn templates() -> [(&'static str, Value); 2] {
    let told = json!({"locales": {"en": {
        "whatsapp": {
            "text": "No. {{ data.number }}",
            "template": {"name": "told", "language": "en", "parameters": ["{{ data.number }}"]}
        },
        "email": {"subject": "No. {{ data.number }}", "html": "<p>Hello {{ recipient.name }}</p>"},
        "in_app": {"title": "No. {{ data.number }}", "body": "Hello {{ recipient.name }}"}
    }}});
    let answered = json!({"locales": {"en": {
        "whatsapp": {"text": "No. {{ data.number }}", "window_only": true}
    }}});
    [("told", told), ("answered", answered)]
}

/// An event type that is posted.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event_type: &'static str,
    /// Whether what is in doubt may be sent again on the same channel.
    pub(super) again: bool,
    pub(super) route: Value,
}

/// What is posted, by event type, and its route.
pub(super) fn routes() -> Vec<Told> {
    let to = |ids: &[&str], channels: Value| json!({"audience": {"ids": ids}, "template": "told", "channels": channels});
    let with = |mut route: Value, more: Value| {
        if let (Value::Object(route), Value::Object(more)) = (&mut route, more) {
            route.extend(more);
        }
        route
    };
    let of = |event_type, again, route| Told { event_type, again, route };
    let whatsapp = || json!(["whatsapp"]);
    vec![
        of("order.placed", true, to(&["ada"], whatsapp())),
        of(
            "order.moved",
            true,
            to(&["ada", "ben", "cleo", "dora"], json!({"first_of": ["whatsapp", "email"]})),
        ),
        // Marketing is parked unless somebody says otherwise.
        of(
            "offer.made",
            false,
            with(to(&["ada", "ben"], json!(["whatsapp", "email"])), json!({"category": "marketing"})),
        ),
        of(
            "offer.again",
            true,
            with(to(&["ada"], whatsapp()), json!({"category": "marketing", "in_doubt": "resend"})),
        ),
        of("paid.once", false, with(to(&["ada", "cleo"], json!(["email"])), json!({"in_doubt": "park"}))),
        of(
            "order.gone",
            false,
            with(
                to(&["ada", "ben"], whatsapp()),
                json!({"in_doubt": "fallback", "fallback": {"channels": ["email", "in_app"]}}),
            ),
        ),
        of(
            "order.late",
            true,
            with(to(&["ada"], whatsapp()), json!({"fallback": {"channels": ["email"], "after_s": 600}})),
        ),
        of(
            "code.asked",
            true,
            with(to(&["ben"], whatsapp()), json!({"expires_after_s": 240, "priority": "high"})),
        ),
        of(
            "crew.told",
            true,
            json!({"audience": {"groups": ["crew"]}, "template": "told", "channels": ["in_app", "email"]}),
        ),
        of("alarm.raised", true, with(to(&["cleo"], json!(["email"])), json!({"category": "critical"}))),
        of(
            "chat.answered",
            true,
            json!({"audience": {"ids": ["ada", "ben"]}, "template": "answered", "channels": whatsapp()}),
        ),
        of("told.once", true, with(to(&["ada", "ben"], whatsapp()), json!({"once_per": ["data.number"]}))),
    ]
}

/// The tenant's settings.
pub(super) fn settings() -> Settings {
    // Slow enough that a run of few messages meets it; only runs that pace do.
    let pace = |pair_every_s| ChannelPace { per_s: 1, pair_every_s, pair_burst: pair_every_s.map(|_| 1) };
    let pacing = [(Channel::Whatsapp, pace(Some(90))), (Channel::Email, pace(None))];
    Settings { pacing: pacing.into_iter().collect(), ..Settings::default() }
}

/// What is asked for at some time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// A producer posts the event of this number.
    Post(usize),
    /// Somebody says what they want.
    Wish(Wish),
    /// A reader writes to the number; when they did is what counts.
    Write { phone: &'static str, at_ms: i64 },
    /// A producer takes the event of this number back.
    Cancel(usize),
    /// An operator stops something.
    Stop(SwitchSetting),
    /// An operator stops nothing any more.
    Lift,
    /// An operator takes a delivery back that has ended, whichever there is.
    Revive,
    /// An operator puts every dead letter back to work, when the fault is gone.
    Redrive { as_job: bool },
}

/// Somebody does not want something any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    pub(super) recipient: &'static str,
    pub(super) channel: Channel,
}

impl Wish {
    /// Whether it forbids a message.
    pub(super) fn forbids(&self, recipient: &str, channel: Channel, category: Category) -> bool {
        self.recipient == recipient && self.channel == channel && category != Category::Critical
    }
}

/// An event that a producer posts.
#[derive(Debug, Clone)]
pub(super) struct Posting {
    pub(super) body: Value,
    pub(super) event_type: &'static str,
    /// The producer posts again until it is accepted.
    pub(super) patient: bool,
}

/// What one seed plays.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) postings: Vec<Posting>,
    /// When what is asked for.
    pub(super) acts: Vec<(i64, Act)>,
    /// When nothing goes wrong any more.
    pub(super) calm_ms: i64,
    /// How often a message is received before it is dead.
    pub(super) most_receives: u32,
    /// Whether channels are paced.
    pub(super) pace: Pace,
    /// Whether dead letters are put back to work by a job.
    pub(super) redrives_as_job: bool,
}

impl Scenario {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        let routes = routes();
        let count = 1 + chance.below(5);
        let mut postings = Vec::with_capacity(count);
        let mut acts = Vec::new();
        let wrote_ms = readers_write(chance, &mut acts);
        for number in 0..count {
            let event_type = chance.one_of(&routes).map_or("order.placed", |told| told.event_type);
            let about = format!("A-{}", chance.below(2));
            let body = json!({"type": event_type, "source": "shop", "id": number.to_string(), "data": {"number": about}});
            postings.push(Posting { body, event_type, patient: chance.below(8) > 0 });
            let at_ms = match wrote_ms {
                // Around the instant at which a window closes.
                Some(wrote_ms) if chance.below(4) == 0 => {
                    wrote_ms + DAY_MS + chance.between(-2 * MINUTE_MS, 10 * MINUTE_MS)
                }
                _ => BEGIN_MS + chance.between(0, 10 * MINUTE_MS),
            };
            acts.push((at_ms, Act::Post(number)));
            if chance.below(8) == 0 {
                acts.push((at_ms + chance.between(0, 10 * MINUTE_MS), Act::Cancel(number)));
            }
            if chance.below(4) == 0 {
                acts.push((at_ms + chance.between(0, 5 * MINUTE_MS), Act::Post(number)));
            }
        }
        // One wish each: what somebody wants is stored whole, and a late repeat must not undo a later wish.
        for recipient in ["ada", "ben", "cleo"] {
            if chance.below(3) > 0 {
                continue;
            }
            let channel = *chance.one_of(&[Channel::Whatsapp, Channel::Email]).unwrap_or(&Channel::Email);
            let at_ms = BEGIN_MS + chance.between(0, 15 * MINUTE_MS);
            acts.push((at_ms, Act::Wish(Wish { recipient, channel })));
        }
        while chance.below(3) == 0 {
            let span_ms = if chance.below(2) == 0 { 30 * MINUTE_MS } else { 4 * DAY_MS };
            acts.push((BEGIN_MS + chance.between(0, span_ms), Act::Revive));
        }
        if chance.below(3) == 0 {
            let at_ms = BEGIN_MS + chance.between(0, 12 * MINUTE_MS);
            acts.push((at_ms, Act::Stop(stop(chance))));
            acts.push((at_ms + chance.between(5_000, 30 * MINUTE_MS), Act::Lift));
        }
        acts.sort_by_key(|(at_ms, _)| *at_ms);
        let calm_ms = BEGIN_MS + chance.between(12 * MINUTE_MS, 40 * MINUTE_MS);
        // As template.yaml says; or hardly any, so that messages die.
        let most_receives = if chance.below(6) == 0 { 2 } else { 20 };
        let pace = if chance.below(4) == 0 { Pace::Meta } else { Pace::Off };
        let redrives_as_job = chance.below(2) == 0;
        Self { postings, acts, calm_ms, most_receives, pace, redrives_as_job }
    }
}

/// Readers who write, one after the other. Answers when the first did.
fn readers_write(chance: &mut Chance, acts: &mut Vec<(i64, Act)>) -> Option<i64> {
    let mut first_ms = None;
    for phone in ["+12025550117", "+12025550118"] {
        if chance.below(3) > 0 {
            continue;
        }
        let at_ms = BEGIN_MS + chance.between(0, 15 * MINUTE_MS);
        acts.push((at_ms, Act::Write { phone, at_ms }));
        first_ms = first_ms.or(Some(at_ms));
    }
    first_ms
}

/// Something that is stopped.
fn stop(chance: &mut Chance) -> SwitchSetting {
    let scopes = [
        (SwitchScope::Tenant, None),
        (SwitchScope::Channel, Some("whatsapp")),
        (SwitchScope::Channel, Some("email")),
        (SwitchScope::Category, Some("transactional")),
        (SwitchScope::Template, Some("told")),
    ];
    let (scope, value) = *chance.one_of(&scopes).unwrap_or(&scopes[0]);
    let mode = *chance.one_of(&SwitchMode::ALL).unwrap_or(&SwitchMode::Hold);
    SwitchSetting { scope, value: value.map(str::to_owned), stopped: true, mode }
}
