//! The front door of the cloud: every function's calls on one address, routed as template.yaml routes them, and the dev
//! cloud's own pages beside them.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use carillon_domain::{Problem, ProblemKind};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, BadTable, Service};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::activity::Activity;
use crate::fakes::faults::line::{Cut, Line};

/// Far above the largest limit of any call, so that the call itself says what is too large, and a sender that is still
/// sending hears it.
const READ_AT_MOST: usize = 32 * 1_048_576;

/// The functions that answer HTTP.
struct FrontDoor {
    intake: Service,
    webhooks: Service,
    inbox: Service,
    operate: Service,
    api: Service,
}

impl FrontDoor {
    /// The function that template.yaml routes a request to; the API answers what nobody knows.
    fn function(&self, method: &str, path: &str) -> &Service {
        if self.intake.takes(method, path) {
            &self.intake
        } else if self.webhooks.knows(path) {
            &self.webhooks
        } else if self.inbox.knows(path) {
            &self.inbox
        } else if self.operate.knows(path) {
            &self.operate
        } else {
            &self.api
        }
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let response = if let Ok(bytes) = to_bytes(body, READ_AT_MOST).await {
            let service = self.function(parts.method.as_str(), &path);
            service.answer(http::Request::from_parts(parts, bytes.to_vec())).await
        } else {
            let detail = format!("The body could not be read, or has more than {READ_AT_MOST} bytes.");
            Answer::problem(&Problem::new(ProblemKind::TooLarge, detail), &path).into_response()
        };
        response.map(|bytes| Body::from(Bytes::from(bytes)))
    }
}

/// All calls, and the dev pages.
pub(super) fn router(
    pipeline: &Arc<Pipeline>,
    dev: axum::Router,
    activity: &Arc<Activity>,
) -> Result<axum::Router, BadTable> {
    let activity = Arc::clone(activity);
    let door = Arc::new(FrontDoor {
        intake: Service::new(Arc::clone(pipeline), intake::CALLS)?,
        webhooks: Service::new(Arc::clone(pipeline), webhooks::CALLS)?,
        inbox: Service::new(Arc::clone(pipeline), inbox::CALLS)?,
        operate: Service::new(Arc::clone(pipeline), operate::CALLS)?,
        api: Service::new(Arc::clone(pipeline), api::CALLS)?,
    });
    Ok(dev.fallback(move |request: Request| {
        let (door, turn) = (Arc::clone(&door), activity.begin(None));
        async move { turn.run(door.answer(request)).await }
    }))
}

/// Serves until told to stop; requests under way are answered.
pub(super) async fn serve(listener: TcpListener, router: axum::Router, stopping: watch::Receiver<bool>) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped(stopping));
    if let Err(error) = served.await {
        tracing::error!(error = %error, "an HTTP server stopped");
    }
}

/// The same on a line that can be broken.
pub(super) async fn serve_on(line: Line, router: axum::Router, stopping: watch::Receiver<bool>) {
    let service = router.into_make_service_with_connect_info::<Cut>();
    let served = axum::serve(line, service).with_graceful_shutdown(stopped(stopping));
    if let Err(error) = served.await {
        tracing::error!(error = %error, "a fake provider's server stopped");
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever would tell is gone, which is a stop too.
    if stopping.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the cloud is gone");
    }
}
