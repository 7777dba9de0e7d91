//! api: what a tenant's people and apps read and put. Reads and writes the directory, routes, templates, deadlines and the
//! log; makes no provider call.

pub mod config;
mod deadlines;
mod directory;
mod events;
mod jobs;
mod people;
mod routes;
mod stats;
mod templates;

use carillon_domain::{Problem, ProblemKind, Scope};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Call, Request, Verb};
use serde_json::json;

use Scope::{EventsWrite, Manage, Read};
use Verb::{Delete, Get, Post, Put};

/// The calls that this function answers.
pub const CALLS: &[Call] = &[
    Call::public(Get, "/health", |p, r| Box::pin(health(p, r))),
    Call::keyed(Get, "/v1/events", Read, |p, r| Box::pin(events::list(p, r)))
        .querying(&["type", "from", "to", "limit", "cursor"]),
    Call::keyed(Post, "/v1/events/preview", EventsWrite, |p, r| Box::pin(events::preview(p, r)))
        .limited(262_144),
    Call::keyed(Get, "/v1/events/{event}", Read, |p, r| Box::pin(events::get(p, r))),
    Call::keyed(Get, "/v1/events/{event}/deliveries", Read, |p, r| Box::pin(events::deliveries_of(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Post, "/v1/events/{event}/cancel", EventsWrite, |p, r| Box::pin(events::cancel(p, r))),
    Call::keyed(Post, "/v1/events/{event}/acknowledge", EventsWrite, |p, r| {
        Box::pin(events::acknowledge(p, r))
    }),
    Call::keyed(Get, "/v1/events/{event}/explain", Read, |p, r| Box::pin(events::explain(p, r)))
        .querying(&["recipient"]),
    Call::keyed(Get, "/v1/deliveries", Read, |p, r| Box::pin(events::list_deliveries(p, r))).querying(&[
        "state",
        "channel",
        "recipient",
        "event_type",
        "subject",
        "from",
        "to",
        "limit",
        "cursor",
    ]),
    Call::keyed(Get, "/v1/deliveries/{delivery}", Read, |p, r| Box::pin(events::get_delivery(p, r))),
    Call::keyed(Get, "/v1/recipients", Read, |p, r| Box::pin(directory::list_recipients(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Put, "/v1/recipients/{recipient}", Manage, |p, r| Box::pin(directory::put_recipient(p, r))),
    Call::keyed(Get, "/v1/recipients/{recipient}", Read, |p, r| Box::pin(directory::get_recipient(p, r))),
    Call::keyed(Delete, "/v1/recipients/{recipient}", Manage, |p, r| {
        Box::pin(directory::delete_recipient(p, r))
    })
    .querying(&["erase"]),
    Call::keyed(Get, "/v1/recipients/{recipient}/export", Read, |p, r| Box::pin(directory::export(p, r)))
        .querying(&["cursor"]),
    Call::keyed(Post, "/v1/recipients/search", Read, |p, r| Box::pin(people::search(p, r))),
    Call::keyed(Post, "/v1/recipients/import", Manage, |p, r| Box::pin(people::import(p, r))),
    Call::keyed(Post, "/v1/recipients/normalise", Manage, |p, r| Box::pin(people::normalise(p, r))),
    Call::keyed(Get, "/v1/suppressions", Read, |p, r| Box::pin(people::list_suppressions(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Post, "/v1/suppressions", Manage, |p, r| Box::pin(people::post_suppression(p, r))),
    Call::keyed(Delete, "/v1/suppressions/{suppression}", Manage, |p, r| {
        Box::pin(people::delete_suppression(p, r))
    }),
    // It changes nothing, so whoever may read may ask.
    Call::keyed(Post, "/v1/system/prove", Read, |p, r| Box::pin(events::prove(p, r))),
    Call::keyed(Post, "/v1/system/cleanup", Manage, |p, r| Box::pin(people::cleanup(p, r))),
    // The path of the system before.
    Call::keyed(Post, "/api/notifications/system/cleanup/", Manage, |p, r| Box::pin(people::cleanup(p, r))),
    Call::keyed(Get, "/v1/system/stats", Read, |p, r| Box::pin(stats::get(p, r)))
        .querying(&["from", "to", "by"]),
    Call::keyed(Get, "/v1/system/settings", Read, |p, r| Box::pin(people::get_settings(p, r))),
    Call::keyed(Put, "/v1/system/settings", Manage, |p, r| Box::pin(people::put_settings(p, r))),
    Call::keyed(Get, "/v1/groups", Read, |p, r| Box::pin(directory::list_groups(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Put, "/v1/groups/{group}", Manage, |p, r| Box::pin(directory::put_group(p, r))),
    Call::keyed(Get, "/v1/groups/{group}", Read, |p, r| Box::pin(directory::get_group(p, r))),
    Call::keyed(Delete, "/v1/groups/{group}", Manage, |p, r| Box::pin(directory::delete_group(p, r))),
    Call::keyed(Get, "/v1/groups/{group}/members", Read, |p, r| Box::pin(directory::list_members(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Post, "/v1/groups/{group}/members", Manage, |p, r| Box::pin(directory::change_members(p, r))),
    Call::keyed(Put, "/v1/groups/{group}/members/{recipient}", Manage, |p, r| {
        Box::pin(directory::add_member(p, r))
    }),
    Call::keyed(Delete, "/v1/groups/{group}/members/{recipient}", Manage, |p, r| {
        Box::pin(directory::remove_member(p, r))
    }),
    Call::keyed(Get, "/v1/routes", Read, |p, r| Box::pin(routes::list(p, r))).querying(&["limit", "cursor"]),
    Call::keyed(Put, "/v1/routes/{event_type}", Manage, |p, r| Box::pin(routes::put(p, r))),
    Call::keyed(Get, "/v1/routes/{event_type}", Read, |p, r| Box::pin(routes::get(p, r))),
    Call::keyed(Delete, "/v1/routes/{event_type}", Manage, |p, r| Box::pin(routes::delete(p, r))),
    Call::keyed(Get, "/v1/templates", Read, |p, r| Box::pin(templates::list(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Put, "/v1/templates/{template}", Manage, |p, r| Box::pin(templates::put(p, r)))
        .querying(&["publish"]),
    Call::keyed(Get, "/v1/templates/{template}", Read, |p, r| Box::pin(templates::get(p, r)))
        .querying(&["version"]),
    Call::keyed(Get, "/v1/templates/{template}/versions", Read, |p, r| Box::pin(templates::versions(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Post, "/v1/templates/{template}/publish", Manage, |p, r| Box::pin(templates::publish(p, r))),
    Call::keyed(Post, "/v1/templates/{template}/preview", EventsWrite, |p, r| {
        Box::pin(templates::preview(p, r))
    }),
    Call::keyed(Get, "/v1/reminder-policies", Read, |p, r| Box::pin(deadlines::list_policies(p, r)))
        .querying(&["limit", "cursor"]),
    Call::keyed(Put, "/v1/reminder-policies/{policy}", Manage, |p, r| Box::pin(deadlines::put_policy(p, r))),
    Call::keyed(Get, "/v1/reminder-policies/{policy}", Read, |p, r| Box::pin(deadlines::get_policy(p, r))),
    Call::keyed(Delete, "/v1/reminder-policies/{policy}", Manage, |p, r| {
        Box::pin(deadlines::delete_policy(p, r))
    }),
    // Who posts events says what is due as well.
    Call::keyed(Put, "/v1/deadlines/{deadline}", EventsWrite, |p, r| Box::pin(deadlines::put(p, r)))
        .limited(262_144),
    Call::keyed(Post, "/v1/deadlines/{deadline}/close", EventsWrite, |p, r| Box::pin(deadlines::close(p, r)))
        .limited(262_144),
    Call::keyed(Get, "/v1/deadlines/{deadline}", Read, |p, r| Box::pin(deadlines::get(p, r))),
    Call::keyed(Get, "/v1/deadlines", Read, |p, r| Box::pin(deadlines::list(p, r)))
        .querying(&["state", "due_from", "due_to", "limit", "cursor"]),
    Call::keyed(Get, "/v1/jobs/{job}", Read, |p, r| Box::pin(jobs::get(p, r))),
];

async fn health(pipeline: &Pipeline, _: &Request) -> Result<Answer, Problem> {
    if pipeline.store_answers().await {
        return Ok(Answer::ok(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})));
    }
    let mut problem = Problem::new(ProblemKind::Unavailable, "The store does not answer.");
    problem.retry_after_s = Some(5);
    Err(problem)
}
