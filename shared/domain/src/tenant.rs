//! Tenants and the keys that act for them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::TenantId;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Sends.
    Live,
}

impl KeyKind {
    /// How the text of such a key begins.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Live => "ck_live_",
        }
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
}

/// Who is calling: proven by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant that the call acts in.
    pub tenant: TenantId,
    /// The key's id, for the audit.
    pub key_id: String,
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
