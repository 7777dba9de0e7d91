//! What a tenant's admins put: recipients, groups, routes, templates, channels. Checked whole before anything changes.

use std::collections::BTreeSet;

use carillon_domain::parse::from_value;
use carillon_domain::recipient::is_email;
use carillon_domain::{
    Channel, EventType, FieldError, GroupName, Problem, ProblemKind, Recipient, RecipientId, Route, Template,
    TemplateName, TenantId,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::ports::StoreError;
use crate::store::directory::PutRecipient;
use crate::store::groups::Group;
use crate::store::tenants::{ChannelConfiguration, channel_secret};

/// The Graph API version that is used when a tenant names none (developers.facebook.com, changelog; until Jul 2028).
const GRAPH_API_VERSION: &str = "v25.0";

/// A version is one item of the table, which holds 400 KB.
const TEMPLATE_BYTES: usize = 360_000;

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
    app_secret: Option<String>,
    verify_token: Option<String>,
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
                problem.errors.push(FieldError::new(
                    "/phone",
                    format!("belongs to the recipient {:?}", other.as_str()),
                ));
                Err(problem)
            }
        }
    }

    /// Puts a group, with its members when they are given. Answers whether it is new.
    ///
    /// # Errors
    /// 422 for members that do not exist.
    pub async fn configure_group(
        &self,
        tenant: &TenantId,
        name: &GroupName,
        body: Value,
    ) -> Result<bool, Problem> {
        let input: GroupInput = from_value(body)?;
        if let Some(members) = &input.members {
            bounded_list("/members", members.len())?;
            self.require_recipients(tenant, "/members", members).await?;
        }
        let description = match input.description {
            Some(text) => Some(text),
            None => self.group(tenant, name).await?.and_then(|g| g.description),
        };
        let new = self.put_group(tenant, name, &Group { description }).await?;
        if let Some(members) = input.members {
            self.set_members(tenant, name, &each_once(members)).await?;
        }
        Ok(new)
    }

    /// Adds and removes members of a group.
    ///
    /// # Errors
    /// 404 without such a group, 422 for recipients that do not exist.
    pub async fn configure_members(
        &self,
        tenant: &TenantId,
        name: &GroupName,
        body: Value,
    ) -> Result<Value, Problem> {
        let input: MembersInput = from_value(body)?;
        if self.group(tenant, name).await?.is_none() {
            return Err(Problem::not_found("group", name));
        }
        bounded_list("/add", input.add.len())?;
        bounded_list("/remove", input.remove.len())?;
        self.require_recipients(tenant, "/add", &input.add).await?;
        let (add, remove) = (each_once(input.add), each_once(input.remove));
        if let Some(both) = remove.iter().find(|id| add.binary_search(id).is_ok()) {
            return Err(
                FieldError::new("/remove", format!("{:?} is to be added as well", both.as_str())).into()
            );
        }
        self.change_members(tenant, name, &add, &remove).await?;
        Ok(json!({"added": add.len(), "removed": remove.len()}))
    }

    async fn require_recipients(
        &self,
        tenant: &TenantId,
        at: &str,
        ids: &[RecipientId],
    ) -> Result<(), Problem> {
        let found = self.recipients(tenant, ids).await?;
        let missing =
            ids.iter().zip(&found).enumerate().filter(|(_, (_, (_, recipient)))| recipient.is_none());
        let faults: Vec<FieldError> = missing
            .map(|(i, (id, _))| {
                FieldError::new(format!("{at}/{i}"), format!("there is no recipient {:?}", id.as_str()))
            })
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
        let template = self.published_template(tenant, &route.template).await?;
        let faults = self.route_faults(&route, template.as_ref().map(|version| &version.template));
        if !faults.is_empty() {
            return Err(faults.into());
        }
        Ok((self.put_route(tenant, event_type, &route).await?, route))
    }

    /// What is wrong with a route that is to use this template; none where there is no such template.
    pub(crate) fn route_faults(&self, route: &Route, template: Option<&Template>) -> Vec<FieldError> {
        let mut faults = route.faults();
        if let Some(Err(detail)) = route.when.as_deref().map(|when| self.renderer.condition_fault(when)) {
            faults.push(FieldError::new("/when", detail));
        }
        match template {
            None => {
                let detail = format!(
                    "there is no published template {:?}; put and publish it first",
                    route.template.as_str()
                );
                faults.push(FieldError::new("/template", detail));
            }
            Some(template) => {
                faults.extend(template.silent_channels(&route.template, "/channels", &route.channels));
            }
        }
        faults
    }

    /// What is wrong with a template that is to be stored.
    pub(crate) fn template_faults(&self, template: &Template) -> Vec<FieldError> {
        let mut faults = template.faults();
        faults.extend(self.renderer.faults(template));
        if json!(template).to_string().len() > TEMPLATE_BYTES {
            let detail = format!("has more than {TEMPLATE_BYTES} bytes in all its locales together");
            faults.push(FieldError::new("/locales", detail));
        }
        faults
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
        let faults = self.template_faults(&template);
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
    pub async fn configure_channel(
        &self,
        tenant: &TenantId,
        channel: Channel,
        body: Value,
    ) -> Result<bool, Problem> {
        let new = self.channel_configuration(tenant, channel).await?.is_none();
        let configuration = match channel {
            Channel::Whatsapp => return self.configure_whatsapp(tenant, from_value(body)?, new).await,
            Channel::Email => email_configuration(from_value(body)?)?,
            Channel::InApp => return Err(Problem::not_found("channel that needs a configuration", channel)),
        };
        self.put_channel_configuration(tenant, channel, &configuration).await?;
        Ok(new)
    }

    async fn configure_whatsapp(
        &self,
        tenant: &TenantId,
        input: WhatsappInput,
        new: bool,
    ) -> Result<bool, Problem> {
        let digits =
            |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit());
        let mut faults = Vec::new();
        if !digits(&input.phone_number_id) {
            faults.push(FieldError::new(
                "/phone_number_id",
                "must be the digits that Meta shows as the phone number id",
            ));
        }
        let api_version = input.api_version.unwrap_or_else(|| GRAPH_API_VERSION.to_owned());
        let numbers = api_version.strip_prefix('v').and_then(|v| v.split_once('.'));
        if !numbers.is_some_and(|(major, minor)| digits(major) && digits(minor)) {
            faults.push(FieldError::new("/api_version", "must look like v25.0"));
        }
        let secrets =
            [("token", input.token), ("app_secret", input.app_secret), ("verify_token", input.verify_token)];
        for (name, value) in &secrets {
            if value.as_ref().is_some_and(|v| v.trim().is_empty() || v.chars().any(char::is_control)) {
                faults.push(FieldError::new(
                    format!("/{name}"),
                    "must not be empty or hold control characters",
                ));
            }
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let phone_number_id = input.phone_number_id;
        let configuration =
            ChannelConfiguration::Whatsapp { phone_number_id, waba_id: input.waba_id, api_version };
        if !self.put_channel_configuration(tenant, Channel::Whatsapp, &configuration).await? {
            let mut problem =
                Problem::new(ProblemKind::Conflict, "The phone number id belongs to another tenant.");
            problem.errors.push(FieldError::new("/phone_number_id", "is the number of another tenant"));
            return Err(problem);
        }
        for (name, value) in secrets {
            if let Some(value) = value {
                self.rotate_secret(&channel_secret(tenant, Channel::Whatsapp, name), value).await?;
            }
        }
        Ok(new)
    }

    /// Puts a secret before the one in use, which stays good: whoever still has it goes on until the next rotation.
    async fn rotate_secret(&self, name: &str, value: String) -> Result<(), StoreError> {
        let mut values = self.secrets.get(name).await?;
        if values.first() == Some(&value) {
            return Ok(());
        }
        values.insert(0, value);
        values.truncate(2);
        self.put_secret(name, &values).await
    }

    /// A channel's configuration as it may be shown: without secrets, but saying whether they are there.
    pub async fn channel_view(
        &self,
        tenant: &TenantId,
        channel: Channel,
    ) -> Result<Option<Value>, StoreError> {
        let Some(configuration) = self.channel_configuration(tenant, channel).await? else { return Ok(None) };
        let mut view = json!(configuration);
        if channel == Channel::Whatsapp {
            for name in ["token", "app_secret", "verify_token"] {
                let values = self.secrets.get(&channel_secret(tenant, channel, name)).await?;
                view[format!("{name}_set")] = json!(!values.is_empty());
            }
            let (templates, numbers) = self.account_news_view(tenant).await?;
            view["templates"] = json!(templates);
            view["quality"] = json!(numbers);
        }
        Ok(Some(view))
    }
}

/// Sorted, and each once.
fn each_once(ids: Vec<RecipientId>) -> Vec<RecipientId> {
    ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

fn bounded_list(at: &str, length: usize) -> Result<(), FieldError> {
    if length > MEMBERS_A_CALL {
        return Err(FieldError::new(at, format!("names {length} recipients; a call takes {MEMBERS_A_CALL}")));
    }
    Ok(())
}

fn email_configuration(input: EmailInput) -> Result<ChannelConfiguration, Problem> {
    if !is_sender(&input.from) {
        return Err(FieldError::new("/from", "must be an address such as Shop <shop@example.com>").into());
    }
    let EmailInput { from, region, configuration_set } = input;
    Ok(ChannelConfiguration::Email { from, configuration_set, region })
}

/// `ada@example.com`, or `Shop <shop@example.com>`, or `"Shop, Inc." <shop@example.com>`. A line break here would let a
/// configuration write mail headers; a name with marks of the address syntax must be quoted.
fn is_sender(text: &str) -> bool {
    let (name, address) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    let quoted = name.len() >= 2
        && name.starts_with('"')
        && name.ends_with('"')
        && !name[1..name.len() - 1].contains('"');
    let plain = !name.contains(['"', ',', ';', ':', '@', '(', ')', '[', ']', '\\']);
    text.len() <= 320 && !text.chars().any(char::is_control) && (quoted || plain) && is_email(address)
}
