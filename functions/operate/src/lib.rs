//! operate: what a tenant's operators and the platform put: keys, tenants, channels, packs, kill switches,
//! schedules; and what they put back to work: dead letters. Reads and writes those, and the secrets of channels; calls no provider. The only function that may write
//! secrets.

mod channels;
pub mod config;
mod dead_letters;
mod deliveries;
mod forecast;
mod funds;
mod health;
mod keys;
mod packs;
mod schedules;
mod switches;
mod tenants;

use carillon_domain::Scope;
use carillon_runtime::http::{Call, Verb};

use Scope::{Manage, Platform, Read};
use Verb::{Delete, Get, Post, Put};

/// The calls that this function answers.
pub const CALLS: &[Call] = &[
    Call::keyed(Put, "/v1/channels/{channel}", Manage, |p, r| Box::pin(channels::put(p, r))),
    Call::keyed(Get, "/v1/channels/{channel}", Read, |p, r| Box::pin(channels::get(p, r))),
    Call::keyed(Get, "/v1/dead-letters", Read, |p, r| Box::pin(dead_letters::list(p, r)))
        .querying(&["queue", "from", "to", "limit", "cursor"]),
    Call::keyed(Post, "/v1/dead-letters/redrive", Manage, |p, r| Box::pin(dead_letters::redrive(p, r))),
    Call::keyed(Post, "/v1/deliveries/retry", Manage, |p, r| Box::pin(deliveries::retry_many(p, r))),
    Call::keyed(Post, "/v1/deliveries/{delivery}/retry", Manage, |p, r| Box::pin(deliveries::retry(p, r))),
    Call::keyed(Post, "/v1/deliveries/{delivery}/reconsider", Manage, |p, r| {
        Box::pin(deliveries::reconsider(p, r))
    }),
    Call::keyed(Post, "/v1/keys", Manage, |p, r| Box::pin(keys::post(p, r))),
    Call::keyed(Get, "/v1/keys", Read, |p, r| Box::pin(keys::list(p, r)))
        .querying(&["tenant", "limit", "cursor"]),
    Call::keyed(Delete, "/v1/keys/{key}", Manage, |p, r| Box::pin(keys::delete(p, r))).querying(&["tenant"]),
    Call::keyed(Put, "/v1/packs/{pack}", Manage, |p, r| Box::pin(packs::put(p, r))).querying(&["dry_run"]),
    Call::keyed(Get, "/v1/system/forecast", Read, |p, r| Box::pin(forecast::get(p, r))).querying(&["days"]),
    Call::keyed(Post, "/v1/system/forecast", Manage, |p, r| Box::pin(forecast::compare(p, r))),
    Call::keyed(Get, "/v1/system/health", Read, |p, r| Box::pin(health::get(p, r))),
    Call::keyed(Get, "/v1/system/problems", Read, |p, r| Box::pin(health::list(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Post, "/v1/system/problems", Manage, |p, r| Box::pin(health::report(p, r))),
    Call::keyed(Post, "/v1/system/problems/{problem}/resolve", Manage, |p, r| {
        Box::pin(health::resolve(p, r))
    }),
    // The paths of the system before.
    Call::keyed(Get, "/api/notifications/system/health-check/", Read, |p, r| Box::pin(health::get(p, r))),
    Call::keyed(Post, "/api/notifications/system/report-problem/", Manage, |p, r| {
        Box::pin(health::report(p, r))
    }),
    Call::keyed(Get, "/v1/system/schedules", Read, |p, r| Box::pin(schedules::list(p, r))),
    Call::keyed(Put, "/v1/system/schedules/{schedule}", Manage, |p, r| Box::pin(schedules::put(p, r))),
    Call::keyed(Delete, "/v1/system/schedules/{schedule}", Manage, |p, r| Box::pin(schedules::delete(p, r))),
    Call::keyed(Post, "/v1/system/sweeps/{sweep}/run", Manage, |p, r| Box::pin(schedules::run(p, r))),
    Call::keyed(Get, "/v1/system/credits", Read, |p, r| Box::pin(funds::get_credits(p, r))),
    Call::keyed(Put, "/v1/system/credits", Manage, |p, r| Box::pin(funds::put_credits(p, r))),
    Call::keyed(Get, "/v1/system/budgets", Read, |p, r| Box::pin(funds::get_budgets(p, r))),
    Call::keyed(Put, "/v1/system/budgets", Manage, |p, r| Box::pin(funds::put_budgets(p, r))),
    Call::keyed(Get, "/v1/system/switches", Read, |p, r| Box::pin(switches::get(p, r))),
    Call::keyed(Put, "/v1/system/switches", Manage, |p, r| Box::pin(switches::put(p, r))),
    Call::keyed(Put, "/v1/tenants/{tenant}", Platform, |p, r| Box::pin(tenants::put(p, r))),
    Call::keyed(Get, "/v1/tenants/{tenant}", Platform, |p, r| Box::pin(tenants::get(p, r))),
];
