//! Calls from pages of other origins (CORS): the inbox and preferences only, for the origins that a tenant names in its
//! settings. Nothing else is ever shown to a page of another origin, and cookies play no part.

use carillon_domain::TenantId;
use carillon_pipeline::Pipeline;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{Method, Request};

use super::{Answer, Service};

/// What a page may send beside what every page may.
const HEADERS: &str = "authorization, if-none-match, content-type";

/// How long a browser may remember what it may do, in seconds.
const REMEMBERED_S: &str = "600";

/// A browser that calls for a page of some origin.
pub(super) struct Browser {
    origin: String,
    /// It only asks whether it may call.
    pub(super) asks_first: bool,
    methods: String,
}

impl Service {
    /// The browser behind a request to a call that browsers may make.
    pub(super) fn browser(&self, request: &Request<Vec<u8>>) -> Option<Browser> {
        let origin = request.headers().get(ORIGIN)?.to_str().ok()?.to_owned();
        let here = self.at(request.uri().path());
        let methods: Vec<&str> =
            here.iter().filter(|call| call.from_browsers).map(|call| call.method.as_str()).collect();
        if methods.is_empty() {
            return None;
        }
        let asks_first = *request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Some(Browser { origin, asks_first, methods: methods.join(", ") })
    }
}

impl Browser {
    /// The answer to a browser that asks first. It has no key yet, so it is enough that any tenant names its origin.
    pub(super) async fn allowance(&self, pipeline: &Pipeline) -> Answer {
        let answer = Answer::no_content().with(VARY, "origin");
        if !self.is_taken(pipeline, None).await {
            return answer;
        }
        answer
            .with(ACCESS_CONTROL_ALLOW_ORIGIN, &self.origin)
            .with(ACCESS_CONTROL_ALLOW_METHODS, &self.methods)
            .with(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS)
            .with(ACCESS_CONTROL_MAX_AGE, REMEMBERED_S)
    }

    /// An answer that the page may read if the tenant names its origin. Whose a refused call is nobody knows: there it is
    /// enough again that any tenant does, so that a page can see that its token is over.
    pub(super) async fn shown(
        &self,
        pipeline: &Pipeline,
        tenant: Option<&TenantId>,
        answer: Answer,
    ) -> Answer {
        let answer = answer.with(VARY, "origin");
        if !self.is_taken(pipeline, tenant).await {
            return answer;
        }
        answer.with(ACCESS_CONTROL_ALLOW_ORIGIN, &self.origin).with(ACCESS_CONTROL_EXPOSE_HEADERS, "etag")
    }

    async fn is_taken(&self, pipeline: &Pipeline, tenant: Option<&TenantId>) -> bool {
        match pipeline.takes_web_origin(tenant, &self.origin).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(error = %error, "whether a web origin is taken could not be read");
                false
            }
        }
    }
}
