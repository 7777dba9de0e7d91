//! Deadlines as producers put, close and read them, and the policies by which people are reminded. Everything is checked
//! before anything changes; then the deadline is stored, then what it owes soon is planned ([`crate::remind`]), in an
//! order in which a call that was cut short is completed by making it again, and the reminders by the sweep.

use carillon_domain::deadline::DeadlineInput;
use carillon_domain::parse::from_value;
use carillon_domain::{
    Deadline, DeadlineId, DeadlineState, FieldError, KeyKind, PolicyName, Principal, Problem, ProblemKind,
    ReminderPolicy, Template, TemplateName, TenantId, Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::context::Pipeline;
use crate::reminder_events::said_of;
use crate::store::deadlines::SavedDeadline;
use crate::store::reminder_policies::CurrentPolicy;

/// The event types of what is said at once.
const CREATED: &str = "deadline.created";
const CLOSED: &str = "deadline.closed";

/// How much a deadline may say, in bytes: its data lies in its item, and in the event of each reminder.
const DATA_BYTES: usize = 65_536;

#[derive(Debug, Default, Deserialize)]
struct CloseInput {
    /// What `on_close` says besides the deadline's own data.
    #[serde(default)]
    data: Map<String, Value>,
}

impl Pipeline {
    /// Puts a reminder policy. Answers whether it is new, and the policy as stored.
    ///
    /// # Errors
    /// 422 for what does not parse or contradicts itself, and for templates without a published version.
    pub async fn configure_reminder_policy(
        &self,
        tenant: &TenantId,
        name: &PolicyName,
        body: Value,
    ) -> Result<(bool, ReminderPolicy), Problem> {
        let policy: ReminderPolicy = from_value(body)?;
        let mut faults = policy.faults();
        for (at, template, channels) in policy.templates() {
            let published = self.published_template(tenant, template).await?;
            let published = published.as_ref().map(|version| &version.template);
            faults.extend(words_faults(template, published, channels).into_iter().map(|f| f.under(&at)));
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        Ok((self.put_reminder_policy(tenant, name, &policy).await?, policy))
    }

    /// Puts something that is due. The same again changes nothing; another due time owes everything anew. Answers whether
    /// it is new, and how it stands.
    ///
    /// # Errors
    /// 422 with pointers for what cannot be, 409 when it is closed, 403 when it is another kind of key's.
    pub async fn put_deadline(
        &self,
        caller: &Principal,
        id: &DeadlineId,
        body: Value,
    ) -> Result<(bool, Deadline), Problem> {
        let tenant = &caller.tenant;
        let mut input: DeadlineInput = from_value(body)?;
        let policy = self.checked_deadline(tenant, &mut input).await?;
        loop {
            let before = self.deadline(tenant, id).await?;
            before.as_ref().map_or(Ok(()), |before| may_change(caller, before))?;
            if before.as_ref().is_some_and(|before| before.state == DeadlineState::Closed) {
                let detail =
                    format!("The deadline {:?} is closed. What is due again has another id.", id.as_str());
                return Err(Problem::new(ProblemKind::Conflict, detail));
            }
            let mut after = self.formed(caller, id, &input, &policy, before.as_ref())?;
            if let Some(before) = &before {
                if after == *before {
                    self.complete(tenant, &after).await?;
                    return Ok((false, after));
                }
                if before.due_at == after.due_at {
                    // What was due up to now is owed in the form that it was due in, also when a sweep is late.
                    self.plan_up_to_now(tenant, before.clone()).await?;
                }
            }
            if let SavedDeadline::Done = self.save_deadline(tenant, before.as_ref(), &mut after).await? {
                // First what is owed now: what is not owed any more the last look keeps back in any case.
                self.complete(tenant, &after).await?;
                if before.is_some() {
                    self.take_back_reminders(tenant, &after).await?;
                }
                return Ok((before.is_none(), after));
            }
        }
    }

    /// What follows from a deadline that is stored.
    async fn complete(&self, tenant: &TenantId, deadline: &Deadline) -> Result<(), Problem> {
        if deadline.edition == 0
            && let Some(notice) = &self.policy_of(tenant, deadline).await?.on_create
        {
            self.give_notice(tenant, deadline, CREATED, notice, said_of(deadline)).await?;
        }
        Ok(self.plan_at_once(tenant, deadline.clone()).await?)
    }

    /// What names and times only configuration, directory and clock can judge. Answers the policy; times become
    /// milliseconds, as they are stored.
    async fn checked_deadline(
        &self,
        tenant: &TenantId,
        input: &mut DeadlineInput,
    ) -> Result<CurrentPolicy, Problem> {
        input.due_at = as_stored(input.due_at);
        input.starts_at = input.starts_at.map(as_stored);
        let mut faults = input.faults();
        if json!(input.data).to_string().len() > DATA_BYTES {
            faults.push(FieldError::new("/data", format!("has more than {DATA_BYTES} bytes")));
        }
        let policy = self.reminder_policy(tenant, &input.policy).await?;
        if policy.is_none() {
            let detail = format!(
                "there is no reminder policy {:?}; put one at /v1/reminder-policies/{}",
                input.policy.as_str(),
                input.policy
            );
            faults.push(FieldError::new("/policy", detail));
        }
        if faults.is_empty() {
            let found = self.recipients(tenant, &input.recipients.ids).await?;
            for (i, _) in found.iter().enumerate().filter(|(_, (_, recipient))| recipient.is_none()) {
                let detail = "there is no recipient by this id";
                faults.push(FieldError::new(format!("/recipients/ids/{i}"), detail));
            }
            let unknown = self.unknown_groups(tenant, &input.recipients.groups).await?;
            let groups = input.recipients.groups.iter().enumerate();
            for (i, _) in groups.filter(|(_, group)| unknown.contains(group)) {
                let detail = "there is no group by this name";
                faults.push(FieldError::new(format!("/recipients/groups/{i}"), detail));
            }
        }
        match policy {
            Some(policy) if faults.is_empty() => Ok(policy),
            _ => Err(faults.into()),
        }
    }

    /// The form that a deadline takes by what is put; the one before, when that says the same.
    fn formed(
        &self,
        caller: &Principal,
        id: &DeadlineId,
        input: &DeadlineInput,
        policy: &CurrentPolicy,
        before: Option<&Deadline>,
    ) -> Result<Deadline, Problem> {
        let now = self.now();
        let starts_at = input.starts_at.or(before.map(|before| before.starts_at)).unwrap_or(now);
        let known = |class: &_| policy.policy.classes().iter().any(|(name, _)| name == class);
        // Fixed when it was made, unless it follows a policy now that has no such class.
        let class = before.map(|before| before.class.clone()).filter(known);
        let class = class.or_else(|| policy.policy.class_of(starts_at, input.due_at));
        let class = class.ok_or_else(|| Problem::new(ProblemKind::Internal, "The policy has no classes."))?;
        let mut after = Deadline {
            id: id.clone(),
            state: DeadlineState::Open,
            policy: input.policy.clone(),
            policy_version: policy.version,
            recipients: input.recipients.clone(),
            starts_at,
            due_at: input.due_at,
            data: input.data.clone(),
            class,
            key_kind: caller.key_kind,
            created_at: before.map_or(now, |before| before.created_at),
            edited_at: before.map_or(now, |before| before.edited_at),
            edition: before.map_or(0, |before| before.edition),
            closed_at: None,
            planned_to: before.map_or(Timestamp::UNIX_EPOCH, |before| before.planned_to),
            next: before.and_then(|before| before.next.clone()),
            rev: before.map_or(0, |before| before.rev),
        };
        if before.is_none_or(|before| *before != after) {
            after.edition = before.map_or(0, |before| before.edition + 1);
            after.edited_at = now;
            after.planned_to = Timestamp::UNIX_EPOCH;
            let class = &after.class;
            let owed = policy.policy.next_owed(class, after.due_at, after.edited_at, after.planned_to);
            after.next = owed.first().map(|first| first.as_next(class, after.due_at));
        }
        Ok(after)
    }

    /// Closes a deadline: it is done. `on_close` is said, and what is planned and has not left is taken back. Repeating it
    /// answers the same.
    ///
    /// # Errors
    /// 404 without such a deadline, 403 when it is another kind of key's.
    pub async fn close_deadline(
        &self,
        caller: &Principal,
        id: &DeadlineId,
        body: Value,
    ) -> Result<Deadline, Problem> {
        let tenant = &caller.tenant;
        let input: CloseInput = if body.is_null() { CloseInput::default() } else { from_value(body)? };
        let closed = loop {
            let before =
                self.deadline(tenant, id).await?.ok_or_else(|| Problem::not_found("deadline", id))?;
            may_change(caller, &before)?;
            if before.state == DeadlineState::Closed {
                break before;
            }
            let (state, closed_at) = (DeadlineState::Closed, Some(self.now()));
            let mut after = Deadline { state, closed_at, next: None, ..before.clone() };
            if let SavedDeadline::Done = self.save_deadline(tenant, Some(&before), &mut after).await? {
                break after;
            }
        };
        if let Some(notice) = &self.policy_of(tenant, &closed).await?.on_close {
            let mut data = said_of(&closed);
            data.extend(input.data);
            data.insert("closed_at".to_owned(), json!(closed.closed_at));
            self.give_notice(tenant, &closed, CLOSED, notice, data).await?;
        }
        self.take_back_reminders(tenant, &closed).await?;
        Ok(closed)
    }
}

/// Refuses a key that sends nothing, or to the team only, what concerns a deadline of another kind of key.
fn may_change(caller: &Principal, deadline: &Deadline) -> Result<(), Problem> {
    if caller.key_kind == KeyKind::Live || caller.key_kind == deadline.key_kind {
        return Ok(());
    }
    let detail = "This key may not change a deadline of another kind of key.";
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

/// An instant in milliseconds.
fn as_stored(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// What is wrong with saying something in this template on these channels.
pub(crate) fn words_faults(
    name: &TemplateName,
    template: Option<&Template>,
    channels: &carillon_domain::ChannelChoice,
) -> Vec<FieldError> {
    match template {
        None => {
            let detail =
                format!("there is no published template {:?}; put and publish it first", name.as_str());
            vec![FieldError::new("/template", detail)]
        }
        Some(template) => template.silent_channels(name, "/channels", channels),
    }
}
