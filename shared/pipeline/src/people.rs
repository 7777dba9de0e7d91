//! What admins do with people in number: search and import; and what is kept about what people want.

use std::collections::BTreeMap;

use carillon_domain::health::Thresholds;
use carillon_domain::pacing::ChannelPace;
use carillon_domain::parse::from_value;
use carillon_domain::window::WindowReminder;
use carillon_domain::{
    Address, Channel, FieldError, InDoubtSettings, Preferences, Problem, ProblemKind, Recipient, RecipientId,
    Retention, RetrySchedule, TenantId,
};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::store::settings::Settings;
use crate::web_origins::web_origin_faults;

/// How many lines of an import are stored side by side.
const SIDE_BY_SIDE: usize = 16;

/// How many recipients a search answers.
const FOUND: usize = 50;

#[derive(Deserialize)]
struct SuppressionInput {
    channel: Channel,
    address: String,
    reason: String,
}

#[derive(Deserialize)]
struct SettingsInput {
    preferences: Option<Preferences>,
    in_doubt: Option<InDoubtSettings>,
    retry: Option<BTreeMap<Channel, RetrySchedule>>,
    pacing: Option<BTreeMap<Channel, ChannelPace>>,
    inbox_origins: Option<Vec<String>>,
    window_reminder: Option<WindowReminder>,
    retention_days: Option<Retention>,
    /// Those that are named; the others stay.
    thresholds: Option<serde_json::Map<String, Value>>,
}

impl Pipeline {
    /// Puts what a recipient wants.
    ///
    /// # Errors
    /// 404 without such a recipient, 422 for what cannot be.
    pub async fn configure_preferences(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        body: Value,
    ) -> Result<Preferences, Problem> {
        let preferences: Preferences = from_value(body)?;
        let faults = preferences.faults();
        if !faults.is_empty() {
            return Err(faults.into());
        }
        if self.put_preferences(tenant, id, &preferences).await? {
            return Ok(preferences);
        }
        Err(Problem::not_found("recipient", id))
    }

    /// Merges what is given into a tenant's settings.
    ///
    /// # Errors
    /// 422 for what cannot be.
    pub async fn configure_settings(&self, tenant: &TenantId, body: Value) -> Result<Settings, Problem> {
        // To say nothing of it leaves it; null turns it off.
        let off = body.get("window_reminder").is_some_and(Value::is_null);
        let input: SettingsInput = from_value(body)?;
        let before = self.settings(tenant).await?;
        let mut settings = Settings::clone(&before);
        let mut faults: Vec<FieldError> = Vec::new();
        if let Some(preferences) = input.preferences {
            faults.extend(preferences.faults().into_iter().map(|fault| fault.under("/preferences")));
            settings.preferences = preferences;
        }
        if let Some(in_doubt) = input.in_doubt {
            faults.extend(in_doubt.faults().into_iter().map(|fault| fault.under("/in_doubt")));
            settings.in_doubt = in_doubt;
        }
        for (channel, schedule) in input.retry.into_iter().flatten() {
            let under = format!("/retry/{channel}");
            faults.extend(schedule.faults().into_iter().map(|fault| fault.under(&under)));
            settings.retry.insert(channel, schedule);
        }
        for (channel, pace) in input.pacing.into_iter().flatten() {
            let under = format!("/pacing/{channel}");
            faults.extend(pace.faults(channel).into_iter().map(|fault| fault.under(&under)));
            settings.pacing.insert(channel, pace);
        }
        if let Some(origins) = input.inbox_origins {
            faults.extend(web_origin_faults(&origins));
            settings.inbox_origins = origins;
        }
        if let Some(retention) = input.retention_days {
            faults.extend(retention.faults().into_iter().map(|fault| fault.under("/retention_days")));
            settings.retention_days = retention;
        }
        if off || input.window_reminder.is_some() {
            let found = input.window_reminder.iter().flat_map(WindowReminder::faults);
            faults.extend(found.map(|fault| fault.under("/window_reminder")));
            settings.window_reminder = input.window_reminder;
        }
        if let Some(named) = input.thresholds {
            let mut merged = json!(settings.thresholds);
            for (name, value) in named {
                merged[name] = value;
            }
            match from_value::<Thresholds>(merged) {
                Ok(thresholds) => settings.thresholds = thresholds,
                Err(found) => faults.extend(found.into_iter().map(|fault| fault.under("/thresholds"))),
            }
            let found = settings.thresholds.faults();
            faults.extend(found.into_iter().map(|fault| fault.under("/thresholds")));
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        self.put_web_origins(tenant, &settings.inbox_origins).await?;
        self.put_settings(tenant, &settings).await?;
        let dropped = before.inbox_origins.iter().filter(|origin| !settings.inbox_origins.contains(origin));
        self.drop_web_origins(tenant, dropped).await?;
        Ok(settings)
    }

    /// Puts an address on the suppression list.
    ///
    /// # Errors
    /// 422 for what is not an address of the channel.
    pub async fn configure_suppression(&self, tenant: &TenantId, body: Value) -> Result<Value, Problem> {
        let input: SuppressionInput = from_value(body)?;
        let reason = input.reason.trim();
        if reason.is_empty() || reason.chars().count() > 200 || reason.contains('@') {
            return Err(
                FieldError::new("/reason", "must have 1 to 200 characters and no address in it").into()
            );
        }
        let address = self.address_of(tenant, input.channel, &input.address).await?;
        let entry = self.suppress(tenant, input.channel, &address, reason).await?;
        Ok(json!(entry))
    }

    async fn address_of(&self, tenant: &TenantId, channel: Channel, text: &str) -> Result<Address, Problem> {
        let region = self.tenant(tenant).await?.map(|owner| owner.region.clone());
        let fault = |detail: String| Problem::from(FieldError::new("/address", detail));
        match channel {
            Channel::Email if carillon_domain::recipient::is_email(text) => {
                Ok(Address::Email(text.to_owned()))
            }
            Channel::Email => Err(fault("is not an email address".to_owned())),
            Channel::Whatsapp => carillon_domain::phone::to_e164(text, region.as_deref())
                .map(Address::Phone)
                .map_err(|error| fault(error.to_string())),
            Channel::InApp => Err(FieldError::new("/channel", "the feed has no addresses").into()),
        }
    }

    /// Stores one recipient per line. What is wrong with a line is told beside its number; the others are stored.
    ///
    /// # Errors
    /// When the body is not text.
    pub async fn import_recipients(&self, tenant: &TenantId, body: &[u8]) -> Result<Value, Problem> {
        let text = std::str::from_utf8(body)
            .map_err(|_| Problem::new(ProblemKind::Malformed, "The body is not UTF-8."))?;
        let lines: Vec<(usize, &str)> =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
        let mut outcomes = Vec::with_capacity(lines.len());
        for some in lines.chunks(SIDE_BY_SIDE) {
            let mut stored = Vec::with_capacity(some.len());
            for (_, line) in some {
                stored.push(self.import_line(tenant, line));
            }
            let stored = join_all(stored).await;
            outcomes.extend(some.iter().map(|(i, _)| i + 1).zip(stored));
        }
        let (mut created, mut updated, mut failed) = (0, 0, 0);
        let mut report = Vec::with_capacity(outcomes.len());
        for (number, outcome) in outcomes {
            report.push(match outcome {
                Ok(true) => {
                    created += 1;
                    json!({"line": number, "status": 201})
                }
                Ok(false) => {
                    updated += 1;
                    json!({"line": number, "status": 200})
                }
                Err(problem) => {
                    failed += 1;
                    let instance = format!("/v1/recipients/import#{number}");
                    json!({"line": number, "status": problem.kind.status(), "problem": problem.to_json(&instance)})
                }
            });
        }
        Ok(json!({"created": created, "updated": updated, "failed": failed, "lines": report}))
    }

    async fn import_line(&self, tenant: &TenantId, line: &str) -> Result<bool, Problem> {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        let mut value = parsed.map_err(|error| {
            Problem::new(ProblemKind::Malformed, format!("The line is not JSON (column {}).", error.column()))
        })?;
        let id = value.as_object_mut().and_then(|fields| fields.remove("id"));
        let Some(Value::String(id)) = id else {
            return Err(FieldError::new("/id", "is missing: each line needs the recipient's id").into());
        };
        let id = RecipientId::try_from(id).map_err(|rule| FieldError::new("/id", rule.to_string()))?;
        Ok(self.configure_recipient(tenant, &id, value).await?.0)
    }

    /// Recipients by the beginning of their id or name, or by their whole email address or phone number.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn search_recipients(
        &self,
        tenant: &TenantId,
        query: &str,
    ) -> Result<Vec<(RecipientId, Recipient)>, Problem> {
        let wanted = query.trim().to_lowercase();
        let region = self.tenant(tenant).await?.map(|owner| owner.region.clone());
        let phone = carillon_domain::phone::to_e164(query, region.as_deref()).ok();
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        while found.len() < FOUND {
            let (page, next) = self.list_recipients(tenant, 200, after.as_deref()).await?;
            for stored in page {
                let person = &stored.recipient;
                let by_start =
                    [stored.id.as_str(), &person.name].iter().any(|t| t.to_lowercase().starts_with(&wanted));
                let by_email = person.email.as_ref().is_some_and(|email| email.to_lowercase() == wanted);
                if by_start || by_email || (phone.is_some() && person.phone == phone) {
                    found.push((stored.id, stored.recipient));
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        found.truncate(FOUND);
        Ok(found)
    }
}
