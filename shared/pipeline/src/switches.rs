//! Kill switches as operators see and set them. Planning (`plan.rs`) and the last look before a call (`last_look.rs`) obey
//! them; when a stop is lifted, the job `release` lets go what it held, and sweep-due what the job did not find.

use carillon_domain::parse::from_value;
use carillon_domain::{
    FieldError, Principal, Problem, ProblemKind, Scope, Switch, SwitchMode, SwitchScope, SwitchSetting,
    TenantId, Timestamp,
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::{CONFIGURATION_TTL_MS, Pipeline};
use crate::jobs::JobInput;
use crate::store::switches::SwitchList;

/// When the sweep looks again at a delivery that a switch holds, in case nobody tells it that the stop was lifted.
pub(crate) const LOOK_AGAIN_AT_SWITCH: SignedDuration = SignedDuration::from_mins(15);

/// How long after a stop was lifted somebody may still obey it: what is remembered, and the time to write a page of an
/// audience that was planned with it. The job that lets go waits for this long, so that nothing is held behind its back.
pub(crate) const OBEYED_AFTER: SignedDuration = SignedDuration::from_millis(CONFIGURATION_TTL_MS + 2_000);

/// How many switches a tenant may have.
const MOST: usize = 200;

#[derive(Deserialize)]
struct SwitchesInput {
    switches: Vec<SwitchInput>,
}

/// A switch as it is put. What an answer shows may be put back: who and when are read and mean nothing.
#[derive(Deserialize)]
struct SwitchInput {
    scope: SwitchScope,
    value: Option<String>,
    stopped: bool,
    #[serde(default)]
    mode: SwitchMode,
    #[serde(default, rename = "by")]
    _by: Value,
    #[serde(default, rename = "at")]
    _at: Value,
}

impl From<SwitchInput> for SwitchSetting {
    fn from(input: SwitchInput) -> Self {
        let SwitchInput { scope, value, stopped, mode, .. } = input;
        Self { scope, value, stopped, mode }
    }
}

impl Pipeline {
    /// The switches that may stop a tenant's deliveries, as of now.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn switches_view(&self, tenant: &TenantId) -> Result<Value, Problem> {
        let (global, own) = (self.stored_switches(None).await?, self.stored_switches(Some(tenant)).await?);
        let shown: Vec<Value> = global.switches.iter().chain(&own.switches).map(shown).collect();
        Ok(json!({"switches": shown}))
    }

    /// Replaces the tenant's list. The switch of the whole deployment is changed when the list has one, which needs the
    /// scope `platform` unless it says what holds already; a list without one leaves it as it is.
    ///
    /// # Errors
    /// 403 for the deployment's switch without `platform`, 422 for what cannot be.
    pub async fn configure_switches(&self, caller: &Principal, body: Value) -> Result<Value, Problem> {
        let input: SwitchesInput = from_value(body)?;
        let settings: Vec<SwitchSetting> = input.switches.into_iter().map(Into::into).collect();
        let faults = faults(&settings);
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let (global, own): (Vec<_>, Vec<_>) =
            settings.into_iter().partition(|one| one.scope == SwitchScope::Global);
        let tenant = &caller.tenant;
        let mut lifted = false;
        if !global.is_empty() {
            let before = self.stored_switches(None).await?;
            if !before.switches.iter().map(|one| &one.setting).eq(&global) {
                if !caller.may(Scope::Platform) {
                    let detail =
                        "The global switch stops every tenant: changing it needs the scope platform.";
                    return Err(Problem::new(ProblemKind::Forbidden, detail));
                }
                lifted |= self.replace_switches(caller, None, &before, global).await?;
            }
        }
        let before = self.stored_switches(Some(tenant)).await?;
        lifted |= self.replace_switches(caller, Some(tenant), &before, own).await?;
        if lifted {
            self.start_job(tenant, JobInput::Release { lifted_at: self.now() }).await?;
        }
        self.switches_view(tenant).await
    }

    /// Answers whether something that was stopped may go now, or ends now.
    async fn replace_switches(
        &self,
        caller: &Principal,
        tenant: Option<&TenantId>,
        before: &SwitchList,
        settings: Vec<SwitchSetting>,
    ) -> Result<bool, Problem> {
        let now = self.now();
        let known = |setting: &SwitchSetting| before.switches.iter().find(|one| one.setting == *setting);
        let switches: Vec<Switch> = settings
            .into_iter()
            // Who set it stays, while it stays what it was.
            .map(|setting| match known(&setting) {
                Some(same) => same.clone(),
                None => Switch { setting, by: caller.key_id.clone(), at: now },
            })
            .collect();
        let list = SwitchList { switches };
        if list == *before {
            return Ok(false);
        }
        self.put_switches(tenant, &list).await?;
        for one in list.switches.iter().filter(|one| one.at == now) {
            let SwitchSetting { scope, value, stopped, mode } = &one.setting;
            tracing::warn!(
                tenant.id = tenant.map(TenantId::as_str),
                switch.scope = scope.as_str(),
                switch.value = value.as_deref(),
                switch.stopped = stopped,
                switch.mode = mode.as_str(),
                key.id = %caller.key_id,
                "switch set"
            );
        }
        let stops = |list: &SwitchList, setting: &SwitchSetting| {
            list.switches.iter().any(|one| one.setting == *setting)
        };
        let lifted = before.switches.iter().any(|one| one.setting.stopped && !stops(&list, &one.setting));
        let drops = |one: &&Switch| one.setting.stopped && one.setting.mode == SwitchMode::Drop;
        let dropped = list.switches.iter().filter(drops).any(|one| !stops(before, &one.setting));
        Ok(lifted || dropped)
    }
}

fn faults(settings: &[SwitchSetting]) -> Vec<FieldError> {
    if settings.len() > MOST {
        return vec![FieldError::new("/switches", format!("has more than {MOST} switches"))];
    }
    let mut faults = Vec::new();
    for (at, setting) in settings.iter().enumerate() {
        let under = format!("/switches/{at}");
        faults.extend(setting.fault().map(|fault| fault.under(&under)));
        if settings[..at].iter().any(|other| other.is_about(setting)) {
            faults.push(FieldError::new(under, "is about the same as a switch before it"));
        }
    }
    faults
}

fn shown(switch: &Switch) -> Value {
    let at: Timestamp = switch.at;
    let mut view = json!(switch.setting);
    view["by"] = json!(switch.by);
    view["at"] = json!(at);
    view
}
