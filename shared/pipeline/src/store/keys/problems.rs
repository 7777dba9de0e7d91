//! The keys of health and problems, for [`super`].

use carillon_domain::{RecipientId, TenantId};

use super::key;
use crate::ports::Key;

/// A problem; ids sort by the time at which problems were opened.
pub(crate) fn problem(tenant: &TenantId, id: &str) -> Key {
    key(problems(tenant), id)
}

/// The partition of a tenant's problems.
pub(crate) fn problems(tenant: &TenantId) -> String {
    format!("T#{tenant}#PROBLEMS")
}

/// That there is an open problem for something, or one of which somebody has still to be told.
pub(crate) fn open_problem(tenant: &TenantId, what: &str) -> Key {
    key(open_problems(tenant), what)
}

/// The partition of these marks.
pub(crate) fn open_problems(tenant: &TenantId) -> String {
    format!("T#{tenant}#OPEN_PROBLEMS")
}

/// What a tenant's counters said over the last day.
pub(crate) fn health(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "HEALTH")
}

/// That a recipient looks after the tenant.
pub(crate) fn admin(tenant: &TenantId, id: &RecipientId) -> Key {
    key(admins(tenant), id.as_str())
}

/// The partition of those who look after a tenant.
pub(crate) fn admins(tenant: &TenantId) -> String {
    format!("T#{tenant}#ADMINS")
}
