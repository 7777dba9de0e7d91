//! The nouns and rules of Carillon: what an event, a route, a recipient, a template and a delivery are, and which
//! moves a delivery may make. Pure: no async, no AWS, no clock, no I/O. Every other crate reads these words.

pub mod canonical;
pub mod channel;
pub mod delivery;
pub mod event;
pub mod ids;
pub mod job;
pub mod keyword;
pub mod pacing;
pub mod parse;
pub mod phone;
pub mod policy;
pub mod preferences;
pub mod problem;
pub mod recipient;
pub mod rendered;
pub mod route;
pub mod state;
pub mod switch;
pub mod template;
pub mod tenant;
pub mod unsubscribe;
pub mod window;

pub use canonical::{canonical_json, sha256_hex};
pub use channel::Channel;
pub use delivery::{Attempt, Delivery, Form, Outcome, ReceiptKind, Revival};
pub use event::{Event, EventInput, OneOffAddress, Targets};
pub use ids::{
    DeliveryId, EventId, EventType, GroupName, PackName, RecipientId, RecipientKey, TemplateName, TenantId,
    Token,
};
pub use job::{JobId, JobState, Progress};
pub use policy::{Fallback, InDoubtPolicy, InDoubtSettings, RetrySchedule};
pub use preferences::Preferences;
pub use problem::{FieldError, Problem, ProblemKind};
pub use recipient::{Address, Recipient};
pub use rendered::Rendered;
pub use route::{Audience, Category, ChannelChoice, Priority, Route};
pub use state::{HeldReason, Reason, State, StateKind};
pub use switch::{Switch, SwitchMode, SwitchScope, SwitchSetting};
pub use template::{LocaleParts, Template, TemplateVersion};
pub use tenant::{ApiKey, KeyKind, Principal, Scope, Tenant};

/// An instant, in UTC; what every `_at` field holds.
pub use jiff::Timestamp;
