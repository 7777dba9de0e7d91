//! operate: what a tenant's operators and the platform put: keys, tenants, channels, packs. Reads and writes those, and the
//! secrets of channels; sends nothing. The only function that may write secrets.

mod channels;
pub mod config;
mod keys;
mod packs;
mod tenants;

use carillon_domain::Scope;
use carillon_runtime::http::{Call, Verb};

use Scope::{Manage, Platform, Read};
use Verb::{Delete, Get, Post, Put};

/// The calls that this function answers.
pub const CALLS: &[Call] = &[
    Call::keyed(Put, "/v1/channels/{channel}", Manage, |p, r| Box::pin(channels::put(p, r))),
    Call::keyed(Get, "/v1/channels/{channel}", Read, |p, r| Box::pin(channels::get(p, r))),
    Call::keyed(Post, "/v1/keys", Manage, |p, r| Box::pin(keys::post(p, r))),
    Call::keyed(Get, "/v1/keys", Read, |p, r| Box::pin(keys::list(p, r)))
        .querying(&["tenant", "limit", "cursor"]),
    Call::keyed(Delete, "/v1/keys/{key}", Manage, |p, r| Box::pin(keys::delete(p, r))).querying(&["tenant"]),
    Call::keyed(Put, "/v1/packs/{pack}", Manage, |p, r| Box::pin(packs::put(p, r))).querying(&["dry_run"]),
    Call::keyed(Put, "/v1/tenants/{tenant}", Platform, |p, r| Box::pin(tenants::put(p, r))),
    Call::keyed(Get, "/v1/tenants/{tenant}", Platform, |p, r| Box::pin(tenants::get(p, r))),
];
