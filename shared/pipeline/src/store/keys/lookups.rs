//! Look-ups that are made before the tenant is known, for [`super`]. Each yields a tenant, or keys bound to one; only dead
//! letters of which nobody can say whose they are have none at all.

use carillon_domain::Sweep;

use super::{Key, Query, TenantId, key, partition};

/// An API key by its hash.
pub(crate) fn api_key(hash: &str) -> Key {
    key(format!("KEY#{hash}"), "KEY")
}

/// That a tenant has a number in a WhatsApp business account.
pub(crate) fn business_account(waba: &str, tenant: &TenantId) -> Key {
    key(format!("WABA#{waba}"), tenant.as_str())
}

/// The tenants with a number in a WhatsApp business account.
pub(crate) fn tenants_of_business_account(waba: &str) -> Query {
    partition(format!("WABA#{waba}"), 1_000, None)
}

/// A tenant in the list of all of them.
pub(crate) fn listed_tenant(tenant: &TenantId) -> Key {
    key(TENANTS.to_owned(), tenant.as_str())
}

/// The list of all tenants, for what is swept for each.
pub(crate) fn tenants(after: Option<String>) -> Query {
    partition(TENANTS.to_owned(), 1_000, after)
}

const TENANTS: &str = "TENANTS";

/// When the deployment's own schedule of a sweep ran last.
pub(crate) fn deployment_run(sweep: Sweep) -> Key {
    key("SCHEDULES".to_owned(), sweep.as_str())
}

/// The tenant of a WhatsApp phone-number id.
pub(crate) fn phone_number(phone_number_id: &str) -> Key {
    key(format!("PHONE_NUMBER#{phone_number_id}"), "TENANT")
}

/// That a tenant names a web origin whose pages may read its feeds.
pub(crate) fn web_origin(origin: &str, tenant: &TenantId) -> Key {
    key(format!("WEB_ORIGIN#{origin}"), tenant.as_str())
}

/// Whether any tenant names a web origin.
pub(crate) fn tenants_of_web_origin(origin: &str) -> Query {
    partition(format!("WEB_ORIGIN#{origin}"), 1, None)
}

/// The switch of the whole deployment.
pub(crate) fn global_switch() -> Key {
    key("SWITCHES".to_owned(), "GLOBAL")
}

/// One shard of the work of all tenants that is due at some time.
pub(crate) fn due(shard: u8) -> String {
    format!("DUE#{shard}")
}

/// One shard of what failed, of all tenants.
pub(crate) fn failed(shard: u8) -> String {
    format!("FAILED#{shard}")
}

/// Up to when the failures of all tenants have been looked at.
pub(crate) fn failures_looked_at() -> Key {
    key("FAILED".to_owned(), "LOOKED_AT")
}

/// The partition of a dead letter of which nobody can say whose it was.
pub(super) fn ownerless_dead_letter(id: &str) -> String {
    format!("OWNERLESS#X#{id}")
}

/// The list of those dead letters.
pub(crate) fn ownerless_dead_letters() -> String {
    "OWNERLESS#DEAD_LETTERS".to_owned()
}

/// Up to where a shard of the table's stream has been counted.
pub(crate) fn stream_position(shard: &str) -> Key {
    key(format!("STREAM#{shard}"), "POSITION")
}
