//! Templates and data become messages: [`MinijinjaRenderer`] reads a template version and a context and writes the
//! [`Rendered`] message of one channel, or says which part cannot be filled. What a channel can carry is checked by
//! that channel's `render.rs`; a provider or the feed comes next.

pub(crate) mod cache;
pub(crate) mod css;
pub(crate) mod engine;
mod entities;
mod filters;
pub(crate) mod html_text;
mod segments;
mod selectors;
mod styled;

use std::sync::Arc;

use carillon_domain::problem::pointer_part;
use carillon_domain::rendered::RenderedParameters;
use carillon_domain::{Channel, FieldError, LocaleParts, Rendered, Template};
use carillon_pipeline::ports::{Message, RenderError, RenderJob, Renderer};
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde};
use minijinja::{Environment, ErrorKind, Value};

use crate::{email, in_app, whatsapp};

/// A rendered message travels in a queue message of [`Message::MAX_BYTES`]; the rest is for what travels with it.
const MAX_RENDERED_BYTES: usize = Message::MAX_BYTES - 64 * 1024;

/// The renderer on minijinja. Keeps what it has parsed; make one per process.
#[derive(Debug)]
pub struct MinijinjaRenderer {
    cache: cache::Cache,
    texts: Environment<'static>,
    conditions: Environment<'static>,
}

impl MinijinjaRenderer {
    /// A renderer that has parsed nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let mut texts = engine::for_texts();
        // Whether a filter exists does not depend on the locale.
        engine::speak(&mut texts, "en");
        Self { cache: cache::Cache::new(), texts, conditions: engine::for_conditions() }
    }

    /// What is wrong with one text. A text that parses is filled once with stand-ins, because minijinja looks up
    /// filters and included templates (there are none) only when it reaches them; whatever else goes wrong then is the
    /// stand-ins' fault.
    fn fault(&self, part: &str, text: &str) -> Option<String> {
        let template = match self.texts.template_from_named_str(part, text) {
            Ok(template) => template,
            Err(error) => return Some(engine::reason(&error)),
        };
        let unknown = [
            ErrorKind::UnknownFilter,
            ErrorKind::UnknownTest,
            ErrorKind::UnknownFunction,
            ErrorKind::TemplateNotFound,
        ];
        let tried = template.render_captured_to(Value::from_object(StandIn { levels: 5 }), std::io::sink());
        tried.err().filter(|e| unknown.contains(&e.kind())).map(|e| engine::reason(&e))
    }
}

impl Default for MinijinjaRenderer {
    fn default() -> Self {
        Self::new()
    }
}

/// Stands for data that is not known yet: has every attribute and one element, each of which stands for data in turn.
/// It ends after so many levels, because filters such as `tojson` walk through all of it.
#[derive(Debug)]
struct StandIn {
    levels: u8,
}

impl Object for StandIn {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, _key: &Value) -> Option<Value> {
        Some(match self.levels {
            0 => Value::from("x"),
            levels => Value::from_object(Self { levels: levels - 1 }),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(1)
    }
}

impl Renderer for MinijinjaRenderer {
    fn faults(&self, template: &Template) -> Vec<FieldError> {
        let locales = template.locales.iter();
        let all = locales.flat_map(|(locale, parts)| texts(parts).into_iter().map(move |t| (locale, t)));
        all.filter_map(|(locale, (part, text))| {
            let detail = self.fault(&part, text)?;
            Some(FieldError::new(format!("/locales/{}{part}", pointer_part(locale)), detail))
        })
        .collect()
    }

    fn condition_fault(&self, expression: &str) -> Result<(), String> {
        self.conditions
            .compile_expression_owned(expression.to_owned())
            .map(|_| ())
            .map_err(|e| engine::reason(&e))
    }

    fn condition(&self, expression: &str, context: &serde_json::Value) -> Result<bool, RenderError> {
        let fault =
            |e: minijinja::Error| RenderError { part: "/when".to_owned(), detail: engine::reason(&e) };
        let compiled = self.conditions.compile_expression_owned(expression.to_owned()).map_err(fault)?;
        Ok(compiled.eval(Value::from(Serde(context))).map_err(fault)?.is_true())
    }

    fn render(&self, job: &RenderJob<'_>) -> Result<Rendered, RenderError> {
        let missing = |what: &str| RenderError {
            part: format!("/{}", job.channel),
            detail: format!("the template has no {what}"),
        };
        let parts = job.template.template.locales.get(job.locale);
        let parts = parts.ok_or_else(|| missing(&format!("locale {}", job.locale)))?;
        let parsed = self.cache.parsed(job, parts)?;
        let context = Value::from(Serde(job.context));
        let fill = |part: &str| parsed.fill(part, &context);
        let no_part = || missing("part for this channel");
        let rendered = match job.channel {
            Channel::Whatsapp => {
                let part = parts.whatsapp.as_ref().ok_or_else(no_part)?;
                whatsapp::render::render(part, job.window_open, &fill)
            }
            Channel::Email => {
                let part = parts.email.as_ref().ok_or_else(no_part)?;
                email::render::render(part, parsed.is_styled(), &fill)
            }
            Channel::InApp => in_app::render::render(parts.in_app.as_ref().ok_or_else(no_part)?, &fill),
        }?;
        fits_in_a_queue(job.channel, rendered)
    }
}

/// Fills the part at a pointer below the locale, such as `/email/subject`.
pub(crate) type Fill<'a> = &'a dyn Fn(&str) -> Result<String, RenderError>;

/// Every text of a locale with its pointer below the locale.
pub(crate) fn texts(parts: &LocaleParts) -> Vec<(String, &str)> {
    let mut texts = Vec::new();
    texts.extend(parts.whatsapp.iter().flat_map(whatsapp::render::texts));
    texts.extend(parts.email.iter().flat_map(email::render::texts));
    texts.extend(parts.in_app.iter().flat_map(in_app::render::texts));
    texts
}

fn fits_in_a_queue(channel: Channel, rendered: Rendered) -> Result<Rendered, RenderError> {
    if text_bytes(&rendered).saturating_mul(JSON_GROWTH) <= MAX_RENDERED_BYTES - FIELD_NAMES_BYTES {
        return Ok(rendered);
    }
    let detail = match serde_json::to_vec(&rendered) {
        Ok(json) if json.len() <= MAX_RENDERED_BYTES => return Ok(rendered),
        Ok(_) => format!("the whole message is longer than {MAX_RENDERED_BYTES} bytes of JSON"),
        Err(_) => "the message cannot be written as JSON".to_owned(),
    };
    Err(RenderError { part: format!("/{channel}"), detail })
}

/// What a byte of text takes in JSON at most: `\u0000`. Writing a message only to measure it would cost as much as
/// rendering it, so it is done for those alone that may be too large.
const JSON_GROWTH: usize = 6;
/// More than the names and punctuation of any message but one with thousands of parameters, which
/// [`text_bytes`] counts with their punctuation.
const FIELD_NAMES_BYTES: usize = 1_024;

fn text_bytes(rendered: &Rendered) -> usize {
    match rendered {
        Rendered::WhatsappText { body } => body.len(),
        Rendered::WhatsappTemplate { name, language, parameters, .. } => {
            // Each with its quotes, colon and comma.
            let parameters: usize = match parameters {
                RenderedParameters::Positional(list) => list.iter().map(|text| text.len() + 3).sum(),
                RenderedParameters::Named(map) => {
                    map.iter().map(|(name, text)| name.len() + text.len() + 6).sum()
                }
            };
            name.len() + language.len() + parameters
        }
        Rendered::Email { subject, html, text } => subject.len() + html.len() + text.len(),
        Rendered::InApp { title, body, action_url } => {
            title.len() + body.len() + action_url.as_deref().map_or(0, str::len)
        }
    }
}
