//! A recipient: a person, and the addresses they can be reached at. Names and addresses live here and nowhere else.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::channel::Channel;
use crate::phone;
use crate::problem::FieldError;

/// A person who can be told something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipient {
    /// How templates address them.
    pub name: String,
    /// Their email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their phone number, E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Their WhatsApp business-scoped user id, such as `US.1349...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bsuid: Option<String>,
    /// The language they read, such as `fr` or `pt-BR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Their IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What they are to the tenant; `admin` also sees system items.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Whether keys of kind `team` may reach them.
    #[serde(default)]
    pub team: bool,
    /// Whether they are told anything at all.
    #[serde(default = "yes")]
    pub active: bool,
    /// Whatever else templates want to know.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}

fn yes() -> bool {
    true
}

/// A role of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks after the tenant.
    Admin,
}

/// Where a message goes; never logged, never stored on a delivery.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A phone number, E.164.
    Phone(String),
    /// A WhatsApp business-scoped user id.
    Bsuid(String),
    /// An email address.
    Email(String),
    /// The recipient's own feed.
    Feed,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A debug print must not be able to leak an address into a log.
        f.write_str(match self {
            Self::Phone(_) => "Phone(..)",
            Self::Bsuid(_) => "Bsuid(..)",
            Self::Email(_) => "Email(..)",
            Self::Feed => "Feed",
        })
    }
}

impl Recipient {
    /// The address on a channel, if there is one; the phone number before the business-scoped id.
    #[must_use]
    pub fn address(&self, channel: Channel) -> Option<Address> {
        match channel {
            Channel::Whatsapp => {
                self.phone.clone().map(Address::Phone).or_else(|| self.bsuid.clone().map(Address::Bsuid))
            }
            Channel::Email => self.email.clone().map(Address::Email),
            Channel::InApp => Some(Address::Feed),
        }
    }

    /// The address as it may be shown to an operator.
    #[must_use]
    pub fn masked_address(&self, channel: Channel) -> Option<String> {
        Some(match self.address(channel)? {
            Address::Phone(number) => phone::masked(&number),
            Address::Bsuid(id) => format!("{}…", id.chars().take(5).collect::<String>()),
            Address::Email(email) => masked_email(&email),
            Address::Feed => "feed".to_owned(),
        })
    }

    /// Brings the addresses into one form, in the tenant's default region.
    ///
    /// # Errors
    /// Every field that cannot be what it says it is.
    pub fn normalised(mut self, default_region: Option<&str>) -> Result<Self, Vec<FieldError>> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty()
            || self.name.chars().count() > 200
            || self.name.chars().any(char::is_control)
        {
            faults.push(FieldError::new(
                "/name",
                "must have 1 to 200 characters, none of them a control character",
            ));
        }
        if let Some(text) = &self.phone {
            match phone::to_e164(text, default_region) {
                Ok(e164) => self.phone = Some(e164),
                Err(error) => faults.push(FieldError::new("/phone", error.to_string())),
            }
        }
        if let Some(email) = &mut self.email {
            *email = email.trim().to_owned();
            if !is_email(email) {
                faults.push(FieldError::new(
                    "/email",
                    "is not an email address that SES takes; write it like ada@example.com",
                ));
            }
        }
        if self.bsuid.as_ref().is_some_and(|id| !is_bsuid(id)) {
            faults.push(FieldError::new(
                "/bsuid",
                "is not a business-scoped user id; it looks like US.13491208655302741918",
            ));
        }
        if self.locale.as_ref().is_some_and(|l| !crate::template::is_locale(l)) {
            faults.push(FieldError::new("/locale", "is not a locale; write it like fr or pt-BR"));
        }
        if self.time_zone.as_ref().is_some_and(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
            faults
                .push(FieldError::new("/time_zone", "is not an IANA time zone; write it like Europe/Paris"));
        }
        if serde_json::Value::Object(self.data.clone()).to_string().len() > Self::DATA_BYTES {
            faults.push(FieldError::new("/data", format!("has more than {} bytes", Self::DATA_BYTES)));
        }
        if self.data.iter().any(|(name, value)| name.is_empty() || !is_storable(value, Self::DATA_DEPTH)) {
            let detail = "is nested deeper than 16 levels, or has an empty name in it";
            faults.push(FieldError::new("/data", detail));
        }
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// How much `data` a recipient may have: it is read and written with every change of the recipient.
    pub const DATA_BYTES: usize = 32_768;

    /// How deep `data` may be nested; an item of the table holds 32 levels in all.
    const DATA_DEPTH: usize = 16;
}

/// Whether a value can be part of an item of the table.
fn is_storable(value: &Value, depth: usize) -> bool {
    match (value, depth) {
        (Value::Array(_) | Value::Object(_), 0) => false,
        (Value::Array(list), _) => list.iter().all(|v| is_storable(v, depth - 1)),
        (Value::Object(map), _) => map.iter().all(|(name, v)| !name.is_empty() && is_storable(v, depth - 1)),
        _ => true,
    }
}

/// SES takes ASCII local parts only; the domain may be written in any script that has been turned into punycode.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let local_ok = (1..=64).contains(&local.len())
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let labels_ok = domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    local_ok && domain.len() <= 253 && domain.contains('.') && labels_ok
}

/// Meta: `CC.<up to 128 letters and digits>`, or `CC.ENT.<...>` for a parent id.
fn is_bsuid(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && (1..=128).contains(&rest.len())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn masked_email(email: &str) -> String {
    let (local, domain) = email.split_once('@').unwrap_or((email, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}***@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(body: Value) -> Result<Recipient, Vec<FieldError>> {
        crate::parse::from_value::<Recipient>(body)?.normalised(Some("US"))
    }

    #[test]
    fn addresses_are_brought_into_one_form() {
        let ada =
            parsed(json!({"name": "Ada", "phone": "(202) 555-0123", "email": " ada@example.com "})).unwrap();
        assert_eq!(ada.address(Channel::Whatsapp), Some(Address::Phone("+12025550123".to_owned())));
        assert_eq!(ada.masked_address(Channel::Email).as_deref(), Some("a***@example.com"));
    }

    #[test]
    fn what_cannot_be_an_address_is_pointed_at() {
        for (body, pointer) in [
            (json!({"name": ""}), "/name"),
            (json!({"name": "A\nB"}), "/name"),
            (json!({"email": "a@example.com"}), "/name"),
            (json!({"name": "A", "phone": "12"}), "/phone"),
            (json!({"name": "A", "phone": 12}), "/phone"),
            (json!({"name": "A", "email": "a@b"}), "/email"),
            (json!({"name": "A", "email": "a b@example.com"}), "/email"),
            (json!({"name": "A", "email": "a@example.com\nBcc: b@example.com"}), "/email"),
            (json!({"name": "A", "bsuid": "1349"}), "/bsuid"),
            (json!({"name": "A", "locale": "klingon!"}), "/locale"),
            (json!({"name": "A", "time_zone": "Europe/Nowhere"}), "/time_zone"),
            (json!({"name": "A", "roles": ["boss"]}), "/roles/0"),
            (json!({"name": "A", "mail": "a@example.com"}), "/mail"),
        ] {
            let pointers: Vec<String> =
                parsed(body.clone()).unwrap_err().into_iter().map(|e| e.pointer).collect();
            assert_eq!(pointers, [pointer], "{body}");
        }
    }

    #[test]
    fn a_debug_print_of_an_address_does_not_show_it() {
        assert_eq!(format!("{:?}", Address::Phone("+12025550123".to_owned())), "Phone(..)");
    }
}
