//! A template: the texts of one message, per locale and channel. A version never changes once it is published.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::channel::Channel;
use crate::ids::TemplateName;
use crate::parse;
use crate::problem::FieldError;
use crate::route::ChannelChoice;

/// The texts of one message in every locale it exists in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The parts by locale, such as `en` or `pt-BR`.
    pub locales: BTreeMap<String, LocaleParts>,
}

/// The parts of one locale; a channel without a part cannot be used with the template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocaleParts {
    /// WhatsApp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp: Option<WhatsappPart>,
    /// Email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailPart>,
    /// The in-app feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_app: Option<InAppPart>,
}

/// WhatsApp: free text for inside the 24-hour window, an approved template for outside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatsappPart {
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The text alone is enough: the message makes sense only inside the window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub window_only: bool,
    /// The template approved by Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ApprovedTemplate>,
}

/// A template approved by Meta and what fills its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedTemplate {
    /// Its name at Meta: lower-case letters, digits and underscores.
    pub name: String,
    /// Meta's language code, with an underscore: `en`, `en_US`, `pt_BR`.
    pub language: String,
    /// What fills its body.
    #[serde(default)]
    pub parameters: Parameters,
    /// The place of the quick-reply button, from 0, by which a reader acknowledges the event, if it was created with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_button: Option<u8>,
}

/// Expressions for a template's parameters: by position, or by name, as the template was created at Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameters {
    /// In order.
    Positional(Vec<String>),
    /// By name.
    Named(BTreeMap<String, String>),
}

impl Default for Parameters {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}

impl Parameters {
    /// The templates of the parameters, each with the last part of its pointer.
    #[must_use]
    pub fn texts(&self) -> Box<dyn Iterator<Item = (String, &str)> + '_> {
        match self {
            Self::Positional(list) => {
                Box::new(list.iter().enumerate().map(|(i, t)| (i.to_string(), t.as_str())))
            }
            Self::Named(map) => Box::new(map.iter().map(|(name, t)| (name.clone(), t.as_str()))),
        }
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Positional(list) => list.serialize(serializer),
            Self::Named(map) => map.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let parsed = if value.is_array() {
            parse::from_value(value).map(Self::Positional)
        } else {
            parse::from_value(value).map(Self::Named)
        };
        parsed.map_err(|_| {
            serde::de::Error::custom("must be a list of texts, or an object of texts by parameter name")
        })
    }
}

/// Email.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailPart {
    /// The subject; one line.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part; made from the HTML when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The in-app feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InAppPart {
    /// The title; one line.
    pub title: String,
    /// The text.
    pub body: String,
    /// Where a click leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
}

impl LocaleParts {
    /// Whether the template speaks on this channel.
    #[must_use]
    pub fn speaks(&self, channel: Channel) -> bool {
        match channel {
            Channel::Whatsapp => self.whatsapp.is_some(),
            Channel::Email => self.email.is_some(),
            Channel::InApp => self.in_app.is_some(),
        }
    }

    /// Whether its WhatsApp part is free text alone, which nobody gets outside the 24-hour window.
    #[must_use]
    pub fn needs_window(&self) -> bool {
        self.whatsapp.as_ref().is_some_and(|part| part.text.is_some() && part.template.is_none())
    }
}

impl Template {
    /// What is wrong beyond the shape and the syntax of its texts.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.locales.is_empty() {
            faults.push(FieldError::new("/locales", "a template needs at least one locale"));
        }
        for (locale, parts) in &self.locales {
            let at = format!("/locales/{}", crate::problem::pointer_part(locale));
            if !is_locale(locale) {
                faults.push(FieldError::new(at.clone(), "is not a locale; write it like en or pt-BR"));
            }
            if !Channel::ALL.iter().any(|c| parts.speaks(*c)) {
                faults.push(FieldError::new(at.clone(), "has no part; give whatsapp, email or in_app"));
            }
            if let Some(part) = &parts.whatsapp {
                faults.extend(part.faults().into_iter().map(|f| f.under(&format!("{at}/whatsapp"))));
            }
        }
        faults
    }

    /// The channels of a choice that some locale has no part for; `name` is the template's.
    #[must_use]
    pub fn silent_channels(
        &self,
        name: &TemplateName,
        pointer: &str,
        channels: &ChannelChoice,
    ) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for channel in channels.channels() {
            for (locale, _) in self.locales.iter().filter(|(_, parts)| !parts.speaks(*channel)) {
                let detail =
                    format!("the template {:?} has no {channel} part in locale {locale:?}", name.as_str());
                faults.push(FieldError::new(pointer, detail));
            }
        }
        faults
    }

    /// The locale to use for a reader: their own, its language alone, the tenant's, its language, else the first.
    #[must_use]
    pub fn locale_for(&self, reader: Option<&str>, tenant_default: &str) -> Option<(&str, &LocaleParts)> {
        let candidates = reader.into_iter().chain([tenant_default]);
        let mut tried = candidates.flat_map(|l| [l, l.split(['-', '_']).next().unwrap_or(l)]);
        tried
            .find_map(|wanted| self.locales.iter().find(|(l, _)| same_locale(l, wanted)))
            .or_else(|| self.locales.iter().next())
            .map(|(locale, parts)| (locale.as_str(), parts))
    }
}

impl WhatsappPart {
    fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        match (&self.text, &self.template) {
            (None, None) => faults.push(FieldError::new("", "needs a text, an approved template, or both")),
            (Some(_), None) if !self.window_only => faults.push(FieldError::new(
                "/template",
                "is missing: outside WhatsApp's 24-hour window only an approved template is delivered; \
                 name one, or say window_only: true",
            )),
            _ => {}
        }
        if let Some(template) = &self.template {
            let name = &template.name;
            let named = (1..=512).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !named {
                let detail = "must be 1 to 512 lower-case letters, digits or underscores, as Meta asks";
                faults.push(FieldError::new("/template/name", detail));
            }
            if let Parameters::Named(map) = &template.parameters {
                let ok = |n: &String| {
                    !n.is_empty()
                        && n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                };
                if map.keys().any(|name| !ok(name)) {
                    let detail =
                        "named parameters are lower-case letters, digits and underscores, as Meta asks";
                    faults.push(FieldError::new("/template/parameters", detail));
                }
            }
            if template.acknowledge_button.is_some_and(|place| place > 9) {
                let detail = "must be 0 to 9: the button's place in the template";
                faults.push(FieldError::new("/template/acknowledge_button", detail));
            }
            let language = &template.language;
            let coded = language.split('_').count() <= 3
                && language
                    .split('_')
                    .all(|p| (2..=4).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
            if !coded {
                faults.push(FieldError::new(
                    "/template/language",
                    "must be Meta's code, such as en, en_US or pt_BR",
                ));
            }
        }
        faults
    }
}

/// Whether a text has the shape of a BCP 47 locale of language, script and region.
#[must_use]
pub fn is_locale(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn same_locale(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .all(|(x, y)| x.eq_ignore_ascii_case(&y) || (b"-_".contains(&x) && b"-_".contains(&y)))
}

/// One version of a template, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// The template.
    pub name: TemplateName,
    /// From 1, counted up by each put.
    pub version: u32,
    /// Its texts.
    pub template: Template,
}

impl TemplateVersion {
    /// The channels of a route or a direct send that some locale has no part for.
    #[must_use]
    pub fn silent_channels(&self, pointer: &str, channels: &ChannelChoice) -> Vec<FieldError> {
        self.template.silent_channels(&self.name, pointer, channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(json: Value) -> Template {
        crate::parse::from_value(json).unwrap()
    }

    #[test]
    fn a_locale_falls_back_to_its_language_then_to_the_tenants() {
        let t = template(json!({"locales": {
            "en": {"in_app": {"title": "t", "body": "b"}},
            "fr": {"in_app": {"title": "t", "body": "b"}},
            "pt-BR": {"in_app": {"title": "t", "body": "b"}}
        }}));
        for (reader, tenant, chosen) in [
            (Some("fr-FR"), "en", "fr"),
            (Some("pt_br"), "en", "pt-BR"),
            (Some("de"), "fr-CA", "fr"),
            (None, "en", "en"),
            (Some("de"), "ja", "en"),
        ] {
            assert_eq!(t.locale_for(reader, tenant).unwrap().0, chosen, "{reader:?} {tenant}");
        }
    }

    #[test]
    fn a_whatsapp_text_alone_is_refused_unless_it_says_window_only() {
        let refused = template(json!({"locales": {"en": {"whatsapp": {"text": "hi"}}}}));
        assert_eq!(refused.faults()[0].pointer, "/locales/en/whatsapp/template");
        let taken = template(json!({"locales": {"en": {"whatsapp": {"text": "hi", "window_only": true}}}}));
        assert_eq!(taken.faults(), []);
    }
}
