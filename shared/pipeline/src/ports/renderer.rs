//! Templates and data to messages. `carillon-channels` has it.

use carillon_domain::{Channel, FieldError, Rendered, Template, TemplateVersion};
use serde_json::Value;

/// Turns templates and data into messages. Pure: the same input gives the same text.
pub trait Renderer: Send + Sync {
    /// What does not parse, with pointers into the template.
    fn faults(&self, template: &Template) -> Vec<FieldError>;

    /// What does not parse in a route's condition.
    ///
    /// # Errors
    /// The fault, in words.
    fn condition_fault(&self, expression: &str) -> Result<(), String>;

    /// Whether a condition holds. Undefined names count as false.
    ///
    /// # Errors
    /// When it cannot be evaluated.
    fn condition(&self, expression: &str, context: &Value) -> Result<bool, RenderError>;

    /// The message for one channel in one of the template's locales.
    ///
    /// # Errors
    /// A variable that is missing, a limit of the channel that the text breaks, or no part for the channel.
    fn render(&self, job: &RenderJob<'_>) -> Result<Rendered, RenderError>;
}

/// What is to be rendered.
#[derive(Debug)]
pub struct RenderJob<'a> {
    /// Whose template: two tenants' templates of one name are two templates.
    pub tenant: &'a str,
    /// The version; an implementation may keep what it parsed under (tenant, name, version).
    pub template: &'a TemplateVersion,
    /// One of the template's locales.
    pub locale: &'a str,
    /// The channel.
    pub channel: Channel,
    /// Whether WhatsApp's 24-hour window is open, so that free text may be sent.
    pub window_open: bool,
    /// `event`, `data`, `recipient`, `tenant`, `now`.
    pub context: &'a Value,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {detail}")]
pub struct RenderError {
    /// The part of the template, as a pointer below its locale, such as `/email/subject`.
    pub part: String,
    /// What is wrong, without data of the event or the recipient.
    pub detail: String,
}
