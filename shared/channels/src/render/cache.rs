//! What was parsed once is kept: a fan-out renders one template for thousands of recipients. Read by
//! [`super::MinijinjaRenderer`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use carillon_domain::LocaleParts;
use carillon_pipeline::ports::{RenderError, RenderJob};
use minijinja::{Environment, Value};

use super::engine;
use crate::email;

/// Parsed locales to keep: more than a busy minute needs, and few enough for a small function's memory.
const KEPT: usize = 256;

/// One locale of one template version, parsed.
#[derive(Debug)]
pub(crate) struct Parsed {
    parts: LocaleParts,
    environment: Environment<'static>,
    styled: bool,
}

impl Parsed {
    fn new(blank: &Environment<'static>, locale: &str, parts: &LocaleParts) -> Result<Self, RenderError> {
        let mut environment = blank.clone();
        engine::speak(&mut environment, locale);
        let mut styled = false;
        for (part, text) in super::texts(parts) {
            let html = if part == email::render::HTML { super::styled::styled(text) } else { None };
            styled |= html.is_some();
            environment
                .add_template_owned(part.clone(), html.unwrap_or_else(|| text.to_owned()))
                .map_err(|e| RenderError { part, detail: engine::reason(&e) })?;
        }
        Ok(Self { parts: parts.clone(), environment, styled })
    }

    /// Whether the email's styles are in its elements as soon as it is filled.
    pub(crate) fn is_styled(&self) -> bool {
        self.styled
    }

    /// The text of a part with its variables filled in.
    pub(crate) fn fill(&self, part: &str, context: &Value) -> Result<String, RenderError> {
        engine::fill(&self.environment, part, context.clone())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Name {
    tenant: String,
    template: String,
    version: u32,
    locale: String,
}

#[derive(Debug)]
struct Entry {
    parsed: Arc<Parsed>,
    used: u64,
}

/// Parsed locales by tenant, template, version and locale; the least recently used one makes room.
#[derive(Debug)]
pub(crate) struct Cache {
    blank: Environment<'static>,
    kept: Mutex<(u64, HashMap<Name, Entry>)>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { blank: engine::for_texts(), kept: Mutex::new((0, HashMap::new())) }
    }

    /// The parsed texts of a job's locale.
    pub(crate) fn parsed(
        &self,
        job: &RenderJob<'_>,
        parts: &LocaleParts,
    ) -> Result<Arc<Parsed>, RenderError> {
        let name = Name {
            tenant: job.tenant.to_owned(),
            template: job.template.name.as_str().to_owned(),
            version: job.template.version,
            locale: job.locale.to_owned(),
        };
        // Nothing below leaves the map half changed, so a panic of another thread does not make it wrong.
        let mut guard = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (clock, kept) = &mut *guard;
        *clock += 1;
        // A version never changes once it is published, but a preview shows texts that have no version yet.
        if let Some(entry) = kept.get_mut(&name)
            && entry.parsed.parts == *parts
        {
            entry.used = *clock;
            return Ok(Arc::clone(&entry.parsed));
        }
        let parsed = Arc::new(Parsed::new(&self.blank, job.locale, parts)?);
        kept.insert(name, Entry { parsed: Arc::clone(&parsed), used: *clock });
        if kept.len() > KEPT {
            let oldest = kept.values().map(|e| e.used).min();
            kept.retain(|_, entry| Some(entry.used) != oldest);
        }
        Ok(parsed)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1.len()
    }
}

#[cfg(test)]
mod tests {
    use carillon_domain::{Channel, TemplateVersion};
    use serde_json::{Value, json};

    use super::*;

    fn version(body: &str, version: u32) -> TemplateVersion {
        let template = json!({"locales": {"en": {"in_app": {"title": "t", "body": body}}}});
        serde_json::from_value(json!({"name": "welcome", "version": version, "template": template})).unwrap()
    }

    fn body(cache: &Cache, tenant: &str, template: &TemplateVersion) -> String {
        let context = Value::Null;
        let (channel, window_open) = (Channel::InApp, false);
        let job = RenderJob { tenant, template, locale: "en", channel, window_open, context: &context };
        let parsed = cache.parsed(&job, &template.template.locales["en"]).unwrap();
        parsed.fill("/in_app/body", &minijinja::Value::UNDEFINED).unwrap()
    }

    #[test]
    fn two_tenants_templates_of_one_name_are_two_templates() {
        let cache = Cache::new();
        assert_eq!(body(&cache, "a", &version("of a", 1)), "of a");
        assert_eq!(body(&cache, "b", &version("of b", 1)), "of b");
        assert_eq!(body(&cache, "a", &version("of a", 1)), "of a");
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn texts_that_changed_under_the_same_version_are_parsed_again() {
        let cache = Cache::new();
        assert_eq!(body(&cache, "a", &version("draft", 0)), "draft");
        assert_eq!(body(&cache, "a", &version("better draft", 0)), "better draft");
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = Cache::new();
        for n in 0..300 {
            body(&cache, "a", &version("text", n));
        }
        assert_eq!(cache.len(), KEPT);
    }
}
