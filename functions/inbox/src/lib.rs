//! inbox: what people reach without a key, by signed links. Unsubscribe (RFC 8058): looking at a link changes nothing,
//! posting to it ends that mail. Reads the tenant, writes the recipient's preferences. It is the end of its path.

pub mod config;
mod page;

use carillon_domain::Problem;
use carillon_domain::unsubscribe::UnsubscribeToken;
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Call, Request, Verb};

/// Mail clients post `List-Unsubscribe=One-Click`, browsers the form of the page; there is nothing else to say.
const FORM_LIMIT: usize = 4_096;

/// The calls that this function answers. The signature in the link is the proof.
pub const CALLS: &[Call] = &[
    Call::public(Verb::Get, "/u/{token}", |p, r| Box::pin(ask(p, r))),
    Call::public(Verb::Post, "/u/{token}", |p, r| Box::pin(unsubscribe(p, r))).limited(FORM_LIMIT),
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
