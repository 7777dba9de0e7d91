//! webhooks: what Meta posts. Proves the signature over the raw bytes, splits what is said into pieces that fit a queue,
//! and answers 200 only when every piece is on the receipts queue. receipts comes next.

pub mod config;
pub mod signature;
pub mod split;

use std::sync::Arc;

use carillon_domain::{Channel, Problem, ProblemKind, TenantId};
use carillon_pipeline::Pipeline;
use carillon_pipeline::bootstrap::{WHATSAPP_APP_SECRET, WHATSAPP_VERIFY_TOKEN};
use carillon_pipeline::ports::{Message, Queue};
use carillon_pipeline::store::tenants::channel_secret;
use carillon_runtime::http::{Answer, Call, Request, Verb};
use subtle::ConstantTimeEq;

/// The largest webhook: 3 MiB.
const WEBHOOK_LIMIT: usize = 3 * 1_048_576;

/// What Meta's handshake brings.
const HANDSHAKE: &[&str] = &["hub.mode", "hub.verify_token", "hub.challenge"];

/// The calls that this function answers. Meta proves itself by the signature or the verify token, not by a key. The
/// first two are for the deployment's own Meta app, the others for a tenant that has one of its own, named by its id.
pub const CALLS: &[Call] = &[
    Call::public(Verb::Get, "/webhooks/whatsapp", |p, r| Box::pin(handshake(p, r))).querying(HANDSHAKE),
    Call::public(Verb::Post, "/webhooks/whatsapp", |p, r| Box::pin(receive(p, r))).limited(WEBHOOK_LIMIT),
    Call::public(Verb::Get, "/webhooks/whatsapp/{app}", |p, r| Box::pin(handshake(p, r))).querying(HANDSHAKE),
    Call::public(Verb::Post, "/webhooks/whatsapp/{app}", |p, r| Box::pin(receive(p, r)))
        .limited(WEBHOOK_LIMIT),
];

/// The tenant whose Meta app a webhook comes from; none for the deployment's own.
fn app(request: &Request) -> Result<Option<TenantId>, Problem> {
    request.has_part("app").then(|| request.part("app")).transpose()
}

async fn secrets(
    pipeline: &Pipeline,
    app: Option<&TenantId>,
    shared: &str,
    own: &str,
) -> Result<Arc<Vec<String>>, Problem> {
    let name = app.map_or_else(|| shared.to_owned(), |tenant| channel_secret(tenant, Channel::Whatsapp, own));
    Ok(pipeline.secret(&name).await?)
}

/// Meta's handshake: the challenge comes back bare if the verify token is ours.
async fn handshake(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let given = request.query("hub.verify_token").unwrap_or_default();
    let known = secrets(pipeline, app(request)?.as_ref(), WHATSAPP_VERIFY_TOKEN, "verify_token").await?;
    let ours = known.iter().any(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())));
    match (request.query("hub.mode"), request.query("hub.challenge")) {
        (Some("subscribe"), Some(challenge)) if ours => Ok(Answer::text(200, challenge)),
        _ => Err(Problem::new(
            ProblemKind::Forbidden,
            "The verify token is not the one that is expected here.",
        )),
    }
}

async fn receive(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let refused =
        || Problem::new(ProblemKind::Unauthenticated, "The signature is missing, doubled or wrong.");
    let app = app(request)?;
    let header = request.header("x-hub-signature-256").ok().flatten().ok_or_else(refused)?;
    let known = secrets(pipeline, app.as_ref(), WHATSAPP_APP_SECRET, "app_secret").await?;
    if !signature::is_valid(header, request.body(), &known) {
        return Err(refused());
    }
    let pieces = split::pieces(request.body(), app.as_ref());
    let messages = pieces
        .into_iter()
        .map(|body| Message { body, group: "receipts:whatsapp".to_owned(), delay_s: 0 })
        .collect();
    pipeline.queues.send(Queue::Receipts, messages).await.map_err(|error| {
        tracing::error!(error = %error, "a webhook could not be kept; Meta will send it again");
        Problem::new(ProblemKind::Internal, "Not everything could be stored. Send it again.")
    })?;
    Ok(Answer::text(200, ""))
}
