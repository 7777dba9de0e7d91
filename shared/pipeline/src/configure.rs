//! What a tenant's admins put: recipients, groups, routes, templates, channels. Checked whole before anything changes.

use carillon_domain::parse::from_value;
use carillon_domain::{
    Channel, EventType, FieldError, GroupName, Problem, ProblemKind, Recipient, RecipientId, Route, Template,
    TemplateName, TenantId,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::ports::StoreError;
use crate::store::directory::{Group, PutRecipient};
use crate::store::tenants::{ChannelConfiguration, channel_secret};

/// The Graph API version that is used when a tenant names none (developers.facebook.com, changelog; until Jul 2028).
const GRAPH_API_VERSION: &str = "v25.0";

/// How many members one call may add or remove.
const MEMBERS_A_CALL: usize = 10_000;

#[derive(Deserialize)]
struct GroupInput {
    description: Option<String>,
    members: Option<Vec<RecipientId>>,
}

#[derive(Deserialize)]
struct MembersInput {
    #[serde(default)]
    add: Vec<RecipientId>,
    #[serde(default)]
    remove: Vec<RecipientId>,
}

#[derive(Deserialize)]
struct WhatsappInput {
    phone_number_id: String,
    waba_id: Option<String>,
    api_version: Option<String>,
    token: Option<String>,
}

#[derive(Deserialize)]
struct EmailInput {
    from: String,
    region: Option<String>,
    configuration_set: Option<String>,
}

impl Pipeline {
    /// Puts a recipient. Answers whether it is new, and the recipient as stored.
    ///
    /// # Errors
    /// 422 for what cannot be, 409 for a phone number that another recipient has.
    pub async fn configure_recipient(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
        body: Value,
    ) -> Result<(bool, Recipient), Problem> {
        let owner = self.tenant(tenant).await?.ok_or_else(|| Problem::not_found("tenant", tenant))?;
        let recipient = from_value::<Recipient>(body)?.normalised(Some(&owner.region))?;
        match self.put_recipient(tenant, id, &recipient).await? {
            PutRecipient::Created => Ok((true, recipient)),
            PutRecipient::Replaced => Ok((false, recipient)),
            PutRecipient::PhoneTaken(other) => {
                let detail = format!("The phone number belongs to the recipient {:?}.", other.as_str());
                let mut problem = Problem::new(ProblemKind::Conflict, detail);
                problem.errors.push(FieldError::new("/phone", format!("belongs to the recipient {:?}", other.as_str())));
                Err(problem)
            }
        }
    }

    /// Puts a group, with its members when they are given. Answers whether it is new.
    ///
    /// # Errors
    /// 422 for members that do not exist.
    pub async fn configure_group(&self, tenant: &TenantId, name: &GroupName, body: Value) -> Result<bool, Problem> {
        let input: GroupInput = from_value(body)?;
        if let Some(members) = &input.members {
            self.require_recipients(tenant, "/members", members).await?;
        }
        let description = match input.description {
            Some(text) => Some(text),
            None => self.group(tenant, name).await?.and_then(|g| g.description),
        };
        let new = self.put_group(tenant, name, &Group { description }).await?;
        if let Some(members) = &input.members {
            self.set_members(tenant, name, members).await?;
        }
        Ok(new)
    }

    /// Adds and removes members of a group.
    ///
    /// # Errors
    /// 404 without such a group, 422 for recipients that do not exist.
    pub async fn configure_members(&self, tenant: &TenantId, name: &GroupName, body: Value) -> Result<Value, Problem> {
        let input: MembersInput = from_value(body)?;
        if self.group(tenant, name).await?.is_none() {
            return Err(Problem::not_found("group", name));
        }
        for (pointer, list) in [("/add", &input.add), ("/remove", &input.remove)] {
            if list.len() > MEMBERS_A_CALL {
                return Err(FieldError::new(pointer, "names more than 10,000 recipients; split it").into());
            }
        }
        self.require_recipients(tenant, "/add", &input.add).await?;
        self.change_members(tenant, name, &input.add, &input.remove).await?;
        Ok(json!({"added": input.add.len(), "removed": input.remove.len()}))
    }

    async fn require_recipients(&self, tenant: &TenantId, at: &str, ids: &[RecipientId]) -> Result<(), Problem> {
        let found = self.recipients(tenant, ids).await?;
        let missing = found.iter().enumerate().filter(|(_, (_, recipient))| recipient.is_none());
        let faults: Vec<FieldError> = missing
            .map(|(i, _)| FieldError::new(format!("{at}/{i}"), "there is no recipient by this id"))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
    }

    /// Puts a route. Answers whether it is new, and the route as stored.
    ///
    /// # Errors
    /// 422 for what does not parse, for a template without a published version, and for channels it does not speak on.
    pub async fn configure_route(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
        body: Value,
    ) -> Result<(bool, Route), Problem> {
        let route: Route = from_value(body)?;
        let mut faults = route.faults();
        if let Some(Err(detail)) = route.when.as_deref().map(|when| self.renderer.condition_fault(when)) {
            faults.push(FieldError::new("/when", detail));
        }
        match self.published_template(tenant, &route.template).await? {
            None => {
                let detail = format!("there is no published template {:?}; put and publish it first", route.template.as_str());
                faults.push(FieldError::new("/template", detail));
            }
            Some(template) => {
                for channel in route.channels.channels() {
                    for (locale, parts) in &template.template.locales {
                        if !parts.speaks(*channel) {
                            let detail = format!(
                                "the template {:?} has no {channel} part in locale {locale:?}",
                                route.template.as_str()
                            );
                            faults.push(FieldError::new("/channels", detail));
                        }
                    }
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        Ok((self.put_route(tenant, event_type, &route).await?, route))
    }

    /// Puts a template as a new version. Answers whether the template is new, and its state.
    ///
    /// # Errors
    /// 422 with part and line for what does not parse.
    pub async fn configure_template(
        &self,
        tenant: &TenantId,
        name: &TemplateName,
        body: Value,
        publish: bool,
    ) -> Result<(bool, Value), Problem> {
        let template: Template = from_value(body)?;
        let mut faults = template.faults();
        faults.extend(self.renderer.faults(&template));
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let (version, head, new) = self.put_template(tenant, name, &template, publish).await?;
        let status = if head.published == Some(version) { "published" } else { "draft" };
        Ok((new, json!({"name": name, "version": version, "status": status})))
    }

    /// Puts the configuration of a channel; its secrets go to the secret store and never come back.
    ///
    /// # Errors
    /// 422 for what does not parse, 409 for a phone number that another tenant sends from.
    pub async fn configure_channel(&self, tenant: &TenantId, channel: Channel, body: Value) -> Result<bool, Problem> {
        let new = self.channel_configuration(tenant, channel).await?.is_none();
        let configuration = match channel {
            Channel::Whatsapp => self.whatsapp_configuration(tenant, body).await?,
            Channel::Email => email_configuration(from_value(body)?)?,
            Channel::InApp => return Err(Problem::not_found("channel that needs a configuration", channel)),
        };
        if self.put_channel_configuration(tenant, channel, &configuration).await? {
            return Ok(new);
        }
        let error = FieldError::new("/phone_number_id", "is the number of another tenant");
        let mut problem = Problem::new(ProblemKind::Conflict, "The phone number id belongs to another tenant.");
        problem.errors.push(error);
        Err(problem)
    }

    async fn whatsapp_configuration(&self, tenant: &TenantId, body: Value) -> Result<ChannelConfiguration, Problem> {
        let input: WhatsappInput = from_value(body)?;
        let digits = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit());
        let mut faults = Vec::new();
        if !digits(&input.phone_number_id) {
            faults.push(FieldError::new("/phone_number_id", "must be the digits that Meta shows as the phone number id"));
        }
        let api_version = input.api_version.unwrap_or_else(|| GRAPH_API_VERSION.to_owned());
        let numbers = api_version.strip_prefix('v').and_then(|v| v.split_once('.'));
        if !numbers.is_some_and(|(major, minor)| digits(major) && digits(minor)) {
            faults.push(FieldError::new("/api_version", "must look like v25.0"));
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        if let Some(token) = input.token {
            self.secrets.put(&channel_secret(tenant, Channel::Whatsapp, "token"), &[token]).await?;
        }
        Ok(ChannelConfiguration::Whatsapp { phone_number_id: input.phone_number_id, waba_id: input.waba_id, api_version })
    }

    /// A channel's configuration as it may be shown: without secrets, but saying whether they are there.
    pub async fn channel_view(&self, tenant: &TenantId, channel: Channel) -> Result<Option<Value>, StoreError> {
        let Some(configuration) = self.channel_configuration(tenant, channel).await? else { return Ok(None) };
        let mut view = json!(configuration);
        if channel == Channel::Whatsapp {
            let token = self.secrets.get(&channel_secret(tenant, channel, "token")).await?;
            view["token_set"] = json!(!token.is_empty());
        }
        Ok(Some(view))
    }
}

fn email_configuration(input: EmailInput) -> Result<ChannelConfiguration, Problem> {
    // A line break here would let a configuration write mail headers.
    if !input.from.contains('@') || input.from.chars().any(char::is_control) || input.from.len() > 320 {
        return Err(FieldError::new("/from", "must be an address such as Shop <shop@example.com>").into());
    }
    let EmailInput { from, region, configuration_set } = input;
    Ok(ChannelConfiguration::Email { from, configuration_set, region })
}
