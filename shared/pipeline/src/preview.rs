//! Preview: what an event or a template would say. The same planning and rendering as the live path; nothing is stored
//! or sent.

use carillon_domain::{
    Channel, Event, EventId, EventInput, FieldError, KeyKind, Principal, Problem, Recipient, RecipientId,
    Rendered, TemplateName, TemplateVersion, TenantId,
};
use serde_json::{Map, Value, json};

use crate::context::Pipeline;
use crate::fan_out::Told;
use crate::plan::Planned;
use crate::ports::RenderJob;
use crate::throttle::Made;
use crate::variables;

/// How many recipients a preview shows.
const SHOWN: usize = 200;

impl Pipeline {
    /// What an event would lead to.
    ///
    /// # Errors
    /// What intake would answer.
    pub async fn preview_event(&self, caller: &Principal, body: Value) -> Result<Value, Problem> {
        let tenant = &caller.tenant;
        let input = EventInput::parse(body)?;
        self.check(caller, &input).await?;
        let extensions = input.extensions.clone();
        let id = EventId::from_idempotency_key(tenant, "preview");
        // A test key sees what a live one would send: nothing leaves in a preview.
        let key_kind = if caller.key_kind == KeyKind::Test { KeyKind::Live } else { caller.key_kind };
        let accepted_at = self.now();
        let event = Event {
            id,
            accepted_at,
            body_sha256: String::new(),
            input,
            extensions,
            key_kind,
            escalates: None,
            reminder: None,
            forgotten: None,
        };
        let route = self.route(tenant, &event.input.event_type).await?;
        let addressed = self.addressed(tenant, &event, route.as_ref().map(|r| &r.audience)).await?;
        let ids = self.some_addressed(tenant, &addressed, SHOWN).await?;
        let more = !addressed.large.is_empty() || addressed.recipients.len() > SHOWN;
        let mut planning = self.plan_page(tenant, &event, route.as_deref(), &ids, &Told::Ask).await?;
        if let Some(throttle) = route.as_ref().and_then(|route| route.throttle) {
            self.throttle_planned(tenant, &event, throttle, Made::Preview, &mut planning.planned).await?;
        }
        let notifications: Vec<Value> = planning.planned.iter().map(shown).collect();
        let mut unknown = addressed.unknown;
        unknown.extend(planning.unknown);
        Ok(json!({"notifications": notifications, "unknown": unknown, "more_recipients": more}))
    }

    /// What a template says on every channel, for given data.
    ///
    /// # Errors
    /// 404 without such a template or version; 422 for a recipient that does not exist and for what cannot be rendered.
    pub async fn preview_template(&self, tenant: &TenantId, job: &TemplatePreview) -> Result<Value, Problem> {
        let version = match job.version {
            Some(version) => self.template_version(tenant, &job.name, version).await?,
            None => match self.template_head(tenant, &job.name).await? {
                Some(head) => {
                    self.template_version(tenant, &job.name, head.published.unwrap_or(head.latest)).await?
                }
                None => None,
            },
        };
        let version = version.ok_or_else(|| match job.version {
            Some(number) => Problem::not_found("version of the template", number),
            None => Problem::not_found("template", &job.name),
        })?;
        let owner = self.tenant(tenant).await?.ok_or_else(|| Problem::not_found("tenant", tenant))?;
        let (id, recipient) = match &job.recipient {
            Some(id) => {
                let found = self.recipient(tenant, id).await?;
                let missing = || FieldError::new("/recipient", "there is no recipient by this id");
                (id.clone(), found.ok_or_else(missing)?)
            }
            None => somebody(job.locale.as_deref())?,
        };
        let wanted = job.locale.as_deref().or(recipient.locale.as_deref());
        let (locale, parts) = version
            .template
            .locale_for(wanted, &owner.locale)
            .ok_or_else(|| FieldError::new("/locale", "the template has no locale"))?;
        let event = sample_event(tenant, &job.name, &job.data, self.now())?;
        let mut context = variables::context(&owner, &event, &id, &recipient, self.now());
        variables::tell_of(&mut context, &[&event]);
        let reader = self.recipient_key(tenant, &id);
        context["acknowledge_url"] = self.acknowledge_url(tenant, &event, &reader).into();
        let mut rendered = Map::new();
        let mut faults = Vec::new();
        for channel in Channel::ALL.into_iter().filter(|c| parts.speaks(*c)) {
            match self.render_each(tenant, &version, locale, channel, &context) {
                Ok(said) => drop(rendered.insert(channel.as_str().to_owned(), said)),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        Ok(json!({"name": version.name, "version": version.version, "locale": locale, "rendered": rendered}))
    }

    /// A channel's message; for WhatsApp both what is said inside the 24-hour window and what is said outside it.
    fn render_each(
        &self,
        tenant: &TenantId,
        template: &TemplateVersion,
        locale: &str,
        channel: Channel,
        context: &Value,
    ) -> Result<Value, FieldError> {
        let render = |window_open: bool| -> Result<Rendered, FieldError> {
            let job = RenderJob { tenant: tenant.as_str(), template, locale, channel, window_open, context };
            self.renderer
                .render(&job)
                .map_err(|error| FieldError::new("/data", format!("locale {locale}, {error}")))
        };
        let part = template.template.locales.get(locale).and_then(|parts| parts.whatsapp.as_ref());
        match part {
            Some(part) if channel == Channel::Whatsapp && part.text.is_some() && part.template.is_some() => {
                Ok(json!({"inside_window": render(true)?, "outside_window": render(false)?}))
            }
            Some(part) if channel == Channel::Whatsapp => Ok(json!(render(part.text.is_some())?)),
            _ => Ok(json!(render(true)?)),
        }
    }
}

/// What `POST /v1/templates/{name}/preview` asks for.
#[derive(Debug)]
pub struct TemplatePreview {
    /// The template.
    pub name: TemplateName,
    /// The version; the published one when absent, else the newest.
    pub version: Option<u32>,
    /// The event's data.
    pub data: Map<String, Value>,
    /// For whom; somebody invented when absent.
    pub recipient: Option<RecipientId>,
    /// In which language; the recipient's when absent.
    pub locale: Option<String>,
}

fn shown(planned: &Planned) -> Value {
    let delivery = &planned.delivery;
    json!({
        "recipient_id": delivery.recipient_id,
        "channel": delivery.channel,
        "decision": if planned.send.is_some() { "send" } else { delivery.state.kind().as_str() },
        "reason": delivery.state.reason(),
        "note": delivery.note,
        "template": delivery.template,
        "version": delivery.version,
        "locale": delivery.locale,
        "held_until": delivery.held_until,
        "rendered": planned.send.as_ref().map(|(_, message)| message).or(planned.later.as_ref()),
        "estimated_cost": planned.cost,
    })
}

fn somebody(locale: Option<&str>) -> Result<(RecipientId, Recipient), FieldError> {
    let id = RecipientId::try_from("preview".to_owned())
        .map_err(|e| FieldError::new("/recipient", e.to_string()))?;
    let recipient = Recipient {
        name: "Ada Example".to_owned(),
        email: None,
        phone: None,
        bsuid: None,
        locale: locale.map(str::to_owned),
        time_zone: None,
        roles: Vec::new(),
        team: false,
        active: true,
        data: Map::new(),
    };
    Ok((id, recipient))
}

fn sample_event(
    tenant: &TenantId,
    name: &TemplateName,
    data: &Map<String, Value>,
    now: carillon_domain::Timestamp,
) -> Result<Event, Vec<FieldError>> {
    let input = EventInput::parse(
        json!({"type": name.as_str(), "source": "preview", "subject": "preview", "data": data}),
    )?;
    let id = EventId::from_idempotency_key(tenant, "preview");
    let extensions = std::collections::BTreeMap::new();
    Ok(Event {
        id,
        accepted_at: now,
        body_sha256: String::new(),
        input,
        extensions,
        key_kind: KeyKind::Live,
        escalates: None,
        reminder: None,
        forgotten: None,
    })
}
