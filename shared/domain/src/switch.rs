//! Kill switches: what an operator has stopped, and how. Pure: planning and the last look before a call ask [`stop`];
//! the store keeps a list for each tenant and one for the whole deployment.

use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::channel::Channel;
use crate::delivery::Delivery;
use crate::ids::TemplateName;
use crate::problem::FieldError;
use crate::route::Category;

/// What a switch stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchScope {
    /// Everything, of every tenant.
    Global,
    /// Everything of the tenant.
    Tenant,
    /// A channel of the tenant.
    Channel,
    /// A category of the tenant.
    Category,
    /// A template of the tenant, in every version.
    Template,
}

impl SwitchScope {
    /// Every scope, from the widest down.
    pub const ALL: [Self; 5] = [Self::Global, Self::Tenant, Self::Channel, Self::Category, Self::Template];

    /// The scope's name in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Tenant => "tenant",
            Self::Channel => "channel",
            Self::Category => "category",
            Self::Template => "template",
        }
    }
}

/// What becomes of a delivery that a switch stops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchMode {
    /// It waits: `held(switched_off)`, and goes out when the stop is lifted.
    #[default]
    Hold,
    /// It ends: `skipped(switched_off)`. Stronger than waiting.
    Drop,
}

impl SwitchMode {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::Hold, Self::Drop];

    /// The mode's name in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Drop => "drop",
        }
    }
}

/// A switch as somebody sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchSetting {
    /// What it stops.
    pub scope: SwitchScope,
    /// Which channel, category or template; none for `global` and `tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether it stops anything now.
    pub stopped: bool,
    /// What becomes of what it stops.
    #[serde(default)]
    pub mode: SwitchMode,
}

/// A switch as it is stored: who set it to what it is, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// What was set.
    #[serde(flatten)]
    pub setting: SwitchSetting,
    /// The id of the key that set it.
    pub by: String,
    /// When.
    #[serde(with = "ms")]
    pub at: Timestamp,
}

impl SwitchSetting {
    /// Whether both are about the same thing.
    #[must_use]
    pub fn is_about(&self, other: &Self) -> bool {
        self.scope == other.scope && self.value == other.value
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<FieldError> {
        let value = self.value.as_deref();
        let detail = match self.scope {
            SwitchScope::Global | SwitchScope::Tenant if value.is_none() => return None,
            SwitchScope::Global | SwitchScope::Tenant => "must be absent for this scope",
            SwitchScope::Channel if value.is_some_and(|v| v.parse::<Channel>().is_ok()) => return None,
            SwitchScope::Channel => "must be whatsapp, email or in_app",
            SwitchScope::Category if value.is_some_and(|v| v.parse::<Category>().is_ok()) => return None,
            SwitchScope::Category => "must be a category",
            SwitchScope::Template if value.is_some_and(|v| v.parse::<TemplateName>().is_ok()) => return None,
            SwitchScope::Template => "must be the name of a template",
        };
        Some(FieldError::new("/value", detail))
    }
}

/// What a delivery is, as switches see it.
#[derive(Debug, Clone, Copy)]
pub struct Stoppable<'a> {
    /// Its channel.
    pub channel: Channel,
    /// Its category.
    pub category: Category,
    /// The name of its template.
    pub template: Option<&'a TemplateName>,
}

impl<'a> From<&'a Delivery> for Stoppable<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self { channel: delivery.channel, category: delivery.category, template: delivery.template.as_ref() }
    }
}

/// How these switches stop something; none when they let it go. Of two that stop it the stronger.
pub fn stop<'a>(switches: impl IntoIterator<Item = &'a Switch>, what: Stoppable<'_>) -> Option<SwitchMode> {
    let stops = |setting: &SwitchSetting| {
        let value = setting.value.as_deref();
        setting.stopped
            && match setting.scope {
                SwitchScope::Global | SwitchScope::Tenant => true,
                SwitchScope::Channel => value == Some(what.channel.as_str()),
                SwitchScope::Category => value == Some(what.category.as_str()),
                SwitchScope::Template => what.template.is_some_and(|name| value == Some(name.as_str())),
            }
    };
    switches.into_iter().map(|one| &one.setting).filter(|one| stops(one)).map(|one| one.mode).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(scope: SwitchScope, value: Option<&str>, stopped: bool, mode: SwitchMode) -> Switch {
        let setting = SwitchSetting { scope, value: value.map(str::to_owned), stopped, mode };
        Switch { setting, by: "k1".to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_switch_stops_its_scope_and_nothing_else() {
        use SwitchScope::{Category as C, Channel as Ch, Global, Template, Tenant};
        let order = "order".parse().unwrap();
        let what =
            Stoppable { channel: Channel::Email, category: Category::Marketing, template: Some(&order) };
        for (scope, value, stops) in [
            (Global, None, true),
            (Tenant, None, true),
            (Ch, Some("email"), true),
            (Ch, Some("whatsapp"), false),
            (C, Some("marketing"), true),
            (C, Some("critical"), false),
            (Template, Some("order"), true),
            (Template, Some("orders"), false),
        ] {
            let on = [switch(scope, value, true, SwitchMode::Hold)];
            assert_eq!(stop(&on, what).is_some(), stops, "{scope:?} {value:?}");
            assert_eq!(stop(&[switch(scope, value, false, SwitchMode::Hold)], what), None);
        }
        assert_eq!(
            stop(
                &[switch(Template, Some("order"), true, SwitchMode::Hold)],
                Stoppable { template: None, ..what }
            ),
            None
        );
    }

    #[test]
    fn dropping_is_stronger_than_holding() {
        let what = Stoppable { channel: Channel::Email, category: Category::System, template: None };
        let both = [
            switch(SwitchScope::Tenant, None, true, SwitchMode::Drop),
            switch(SwitchScope::Global, None, true, SwitchMode::Hold),
        ];
        assert_eq!(stop(&both, what), Some(SwitchMode::Drop));
        assert_eq!(stop(&both[1..], what), Some(SwitchMode::Hold));
    }

    #[test]
    fn a_value_fits_its_scope() {
        use SwitchScope::{Category as C, Channel as Ch, Global, Template, Tenant};
        for (scope, value, fits) in [
            (Global, None, true),
            (Global, Some("x"), false),
            (Tenant, Some("acme"), false),
            (Ch, Some("in_app"), true),
            (Ch, Some("sms"), false),
            (Ch, None, false),
            (C, Some("critical"), true),
            (C, Some("none"), false),
            (Template, Some("order"), true),
            (Template, None, false),
        ] {
            let fault = switch(scope, value, true, SwitchMode::Hold).setting.fault();
            assert_eq!(fault.is_none(), fits, "{scope:?} {value:?}");
        }
    }
}
