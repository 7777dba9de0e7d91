//! The nouns and rules of Carillon: what an event, a route, a recipient, a template and a delivery are, and which
//! moves a delivery may make. Pure: no async, no AWS, no clock, no I/O. Every other crate reads these words.

pub mod acknowledge;
pub mod budget;
pub mod canonical;
pub mod channel;
pub mod cost;
pub mod counters;
pub mod credits;
pub mod deadline;
pub mod delivery;
pub mod digest;
pub mod escalation;
pub mod event;
pub mod feed;
pub mod forget;
pub mod health;
pub mod ids;
pub mod job;
pub mod keyword;
pub mod offset;
pub mod pacing;
pub mod parse;
pub mod phone;
pub mod policy;
pub mod preferences;
pub mod prices;
pub mod problem;
pub mod quiet;
pub mod recipient;
pub mod recipient_token;
pub mod reminder;
pub mod rendered;
pub mod retention;
pub mod route;
pub mod schedule;
pub mod state;
pub mod switch;
pub mod template;
pub mod tenant;
pub mod throttle;
pub mod unsubscribe;
pub mod window;

pub use canonical::{canonical_json, sha256_hex};
pub use channel::Channel;
pub use cost::Cost;
pub use deadline::{Deadline, DeadlineMark, DeadlineState};
pub use delivery::{Attempt, Delivery, Form, Outcome, ReceiptKind, Revival};
pub use digest::{Carried, DigestMark, DigestRule};
pub use event::{Event, EventInput, OneOffAddress, Targets};
pub use feed::Origin;
pub use forget::{Forgotten, Traces};
pub use ids::{
    DeadlineId, DeliveryId, EventId, EventType, GroupName, Lane, PackName, PolicyName, RecipientId,
    RecipientKey, ScheduleName, TemplateName, TenantId, Token,
};
pub use job::{JobId, JobState, Progress};
pub use policy::{Fallback, InDoubtPolicy, InDoubtSettings, RetrySchedule};
pub use preferences::Preferences;
pub use problem::{FieldError, Problem, ProblemKind};
pub use quiet::{Allowed, QuietHours, SendWindow};
pub use recipient::{Address, Recipient};
pub use recipient_token::RecipientToken;
pub use reminder::{Lanes, ReminderOf, ReminderPolicy};
pub use rendered::Rendered;
pub use retention::Retention;
pub use route::{Audience, Category, ChannelChoice, Priority, Route};
pub use schedule::{Cadence, Schedule, Sweep};
pub use state::{HeldReason, Reason, State, StateKind};
pub use switch::{Switch, SwitchMode, SwitchScope, SwitchSetting};
pub use template::{LocaleParts, Template, TemplateVersion};
pub use tenant::{ApiKey, KeyKind, Principal, Scope, Tenant};
pub use throttle::{Throttle, ThrottleMode};

/// An instant, in UTC; what every `_at` field holds.
pub use jiff::Timestamp;
