//! Email through Amazon SES, API version 2: a subject, an HTML part and a text part to one address. SES's answer means
//! accepted, not delivered; what became of a message comes later as events, matched by the tag [`TOKEN_TAG`].

pub mod errors;
pub mod provider;
pub mod receipts;
pub mod render;

/// The message tag that carries the token to SES and back.
pub const TOKEN_TAG: &str = "carillon";
/// The message tag that carries the tenant: one SES account serves all tenants.
pub const TENANT_TAG: &str = "carillon-tenant";
