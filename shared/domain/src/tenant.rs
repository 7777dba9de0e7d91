//! Tenants and the keys that act for them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::TenantId;
use crate::problem::FieldError;

/// An organisation; every item belongs to exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name, visible to templates.
    pub name: String,
    /// The locale of those who have none of their own.
    pub locale: String,
    /// The IANA time zone of those who have none of their own.
    pub time_zone: String,
    /// The ISO country that numbers without a country code are read in.
    pub region: String,
}

impl Tenant {
    /// What is wrong beyond the shape.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, pointer: &str, detail: &str| {
            if !holds {
                faults.push(FieldError::new(pointer, detail));
            }
        };
        check(
            is_name(&self.name),
            "/name",
            "must have 1 to 200 characters, none of them a control character",
        );
        check(
            crate::template::is_locale(&self.locale),
            "/locale",
            "is not a locale; write it like fr or pt-BR",
        );
        check(
            jiff::tz::TimeZone::get(&self.time_zone).is_ok(),
            "/time_zone",
            "is not an IANA time zone; write it like Europe/Paris",
        );
        check(
            crate::phone::is_region(&self.region),
            "/region",
            "is not an ISO country that phone numbers are known for; write it like FR",
        );
        faults
    }
}

/// Whether a text can be what people call something.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control)
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Every GET.
    #[serde(rename = "read")]
    Read,
    /// Post, batch, preview, cancel and acknowledge events.
    #[serde(rename = "events:write")]
    EventsWrite,
    /// The inbox paths.
    #[serde(rename = "inbox")]
    Inbox,
    /// Every other write.
    #[serde(rename = "manage")]
    Manage,
    /// Tenants, and keys of any tenant.
    #[serde(rename = "platform")]
    Platform,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Read, Self::EventsWrite, Self::Inbox, Self::Manage, Self::Platform];

    /// The scope's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::EventsWrite => "events:write",
            Self::Inbox => "inbox",
            Self::Manage => "manage",
            Self::Platform => "platform",
        }
    }
}

/// What sending with a key leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Sends.
    #[default]
    Live,
    /// Plans and renders; nothing is sent.
    Test,
    /// Sends to recipients of the team only.
    Team,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Live, Self::Test, Self::Team];

    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
            Self::Team => "team",
        }
    }

    /// How the text of such a key begins.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Live => "ck_live_",
            Self::Test => "ck_test_",
            Self::Team => "ck_team_",
        }
    }

    /// Whether what is sent with it reaches everybody; for serde, which asks by reference.
    #[must_use]
    pub fn is_live(&self) -> bool {
        *self == Self::Live
    }
}

/// A stored key: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id; not secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What sending with it leads to.
    pub kind: KeyKind,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// Who is calling: proven by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant that the call acts in.
    pub tenant: TenantId,
    /// The key's id, for the audit.
    pub key_id: String,
    /// What sending with the key leads to.
    pub key_kind: KeyKind,
    /// What the key may do.
    pub scopes: Vec<Scope>,
}

impl Principal {
    /// Whether the key may do this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_whose_words_mean_nothing_is_refused_word_by_word() {
        let acme = Tenant {
            id: "acme".parse().unwrap(),
            name: "Acme".to_owned(),
            locale: "pt-BR".to_owned(),
            time_zone: "America/Sao_Paulo".to_owned(),
            region: "BR".to_owned(),
        };
        assert_eq!(acme.faults(), []);
        let wrong = Tenant {
            name: " ".to_owned(),
            locale: "Portuguese".to_owned(),
            time_zone: "Brasilia".to_owned(),
            region: "XX".to_owned(),
            ..acme
        };
        let pointers: Vec<String> = wrong.faults().into_iter().map(|f| f.pointer).collect();
        assert_eq!(pointers, ["/name", "/locale", "/time_zone", "/region"]);
    }
}
