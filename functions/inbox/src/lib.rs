//! inbox: what people themselves reach. Their feed and their preferences, by a recipient token that their app's backend
//! asks for; unsubscribe (RFC 8058), by a signed link: looking at a link changes nothing, posting to it ends that mail.
//! Reads recipients, feeds, tenants and their settings; writes marks in feeds, deliveries that are read, and preferences.
//! It is the end of its path.

mod acknowledge;
pub mod config;
mod feed;
mod page;
mod person;

use carillon_domain::unsubscribe::UnsubscribeToken;
use carillon_domain::{Problem, Scope};
use carillon_pipeline::Pipeline;
use carillon_pipeline::store::inbox_marks::Mark;
use carillon_runtime::http::{Answer, Call, Request, Verb};

/// Mail clients post `List-Unsubscribe=One-Click`, browsers the form of the page; there is nothing else to say.
const FORM_LIMIT: usize = 4_096;

/// The parameters of a list of the feed.
const LIST: &[&str] = &["recipient", "type", "priority", "origin", "unread", "limit", "cursor"];

/// The script that shows a feed in any web page, with nothing beside it.
const COMPONENT: &str = include_str!("carillon-inbox.js");

use Scope::{Inbox, Manage, Read};
use Verb::{Get, Post, Put};

/// The calls that this function answers. The signature in a link is the proof.
pub const CALLS: &[Call] = &[
    Call::reading(Get, "/v1/inbox", Inbox, |p, r| Box::pin(feed::list(p, r))).querying(LIST),
    Call::reading(Get, "/v1/inbox/recent", Inbox, |p, r| Box::pin(feed::recent(p, r)))
        .querying(&["recipient"]),
    Call::reading(Get, "/v1/inbox/unread-count", Inbox, |p, r| Box::pin(feed::unread_count(p, r)))
        .querying(&["recipient"]),
    Call::reading(Post, "/v1/inbox/read-all", Inbox, |p, r| Box::pin(feed::read_all(p, r)))
        .querying(&["recipient"]),
    Call::reading(Get, "/v1/inbox/{delivery}", Inbox, |p, r| Box::pin(feed::get(p, r)))
        .querying(&["recipient"]),
    Call::reading(Post, "/v1/inbox/{delivery}/read", Inbox, |p, r| Box::pin(feed::mark(p, r, Mark::Read)))
        .querying(&["recipient"]),
    Call::reading(Post, "/v1/inbox/{delivery}/unread", Inbox, |p, r| {
        Box::pin(feed::mark(p, r, Mark::Unread))
    })
    .querying(&["recipient"]),
    Call::reading(Post, "/v1/inbox/{delivery}/archive", Inbox, |p, r| {
        Box::pin(feed::mark(p, r, Mark::Archived))
    })
    .querying(&["recipient"]),
    Call::reading(Post, "/v1/inbox/{delivery}/acknowledge", Inbox, |p, r| {
        Box::pin(acknowledge::acknowledge_item(p, r))
    })
    .querying(&["recipient"]),
    Call::reading(Get, "/v1/recipients/{recipient}/preferences", Read, |p, r| {
        Box::pin(person::get_preferences(p, r))
    }),
    Call::reading(Put, "/v1/recipients/{recipient}/preferences", Manage, |p, r| {
        Box::pin(person::put_preferences(p, r))
    }),
    // Whoever may read every inbox may hand one on.
    Call::keyed(Post, "/v1/recipients/{recipient}/token", Inbox, |p, r| Box::pin(person::post_token(p, r))),
    // The paths of the feed in the system before.
    Call::reading(Get, "/api/notifications/recent/", Inbox, |p, r| Box::pin(feed::recent(p, r)))
        .querying(&["recipient"])
        .from_servers(),
    Call::reading(Get, "/api/notifications/real/", Inbox, |p, r| Box::pin(feed::list(p, r)))
        .querying(LIST)
        .from_servers(),
    Call::public(Get, "/carillon-inbox.js", |_, _| Box::pin(async { Ok(Answer::script(COMPONENT)) })),
    Call::public(Get, "/a/{token}", |p, r| Box::pin(acknowledge::ask(p, r))),
    Call::public(Post, "/a/{token}", |p, r| Box::pin(acknowledge::acknowledge(p, r))).limited(FORM_LIMIT),
    Call::public(Get, "/u/{token}", |p, r| Box::pin(ask(p, r))),
    Call::public(Post, "/u/{token}", |p, r| Box::pin(unsubscribe(p, r))).limited(FORM_LIMIT),
];

/// What the link stands for, and whose mail it is; none for a link that nobody here has made.
async fn read(pipeline: &Pipeline, request: &Request) -> Result<Option<(UnsubscribeToken, String)>, Problem> {
    let text: String = request.part("token")?;
    let Some(token) = pipeline.read_unsubscribe_token(&text) else { return Ok(None) };
    let tenant = pipeline.tenant(&token.tenant).await?;
    Ok(tenant.map(|tenant| (token, tenant.name.clone())))
}

/// A page with a button: a link is opened by virus scanners and previews too.
async fn ask(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(match read(pipeline, request).await? {
        Some((token, from)) => Answer::page(200, &page::question(&from, token.category)),
        None => Answer::page(404, &page::unknown()),
    })
}

async fn unsubscribe(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let Some((token, from)) = read(pipeline, request).await? else {
        return Ok(Answer::page(404, &page::unknown()));
    };
    pipeline.unsubscribe(&token).await?;
    Ok(Answer::page(200, &page::done(&from, token.category)))
}
