//! The HTTP edge: a table of calls, each with its access, limit and handler. It finds the call, reads the key, checks the
//! scope, bounds and parses the body, and turns every problem into RFC 9457. The same service answers in Lambda and in
//! the embedded cloud.

mod answer;
mod browser;
mod request;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use carillon_domain::{Problem, ProblemKind, Scope, TenantId};
use carillon_pipeline::Pipeline;
use carillon_pipeline::recipient_tokens::Reader;
use futures_util::FutureExt;
use http::{Method, Response};

pub use answer::Answer;
pub use request::{ListWindow, Request};

/// The body limit of a call that says nothing else: 1 MiB.
pub const BODY_LIMIT: usize = 1_048_576;

/// What a handler gives.
pub type Handled<'a> = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send + 'a>>;

/// A handler: a function of the pipeline and the request.
pub type Handler = for<'a> fn(&'a Pipeline, &'a Request) -> Handled<'a>;

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; the handler proves the caller by other means, or there is nothing to protect.
    Public,
    /// A key with this scope.
    Key(Scope),
    /// A recipient token, which opens one recipient's inbox and preferences, or a key with this scope.
    Reader(Scope),
}

/// One call of the API.
#[derive(Clone, Copy)]
pub struct Call {
    /// Its method.
    pub method: Verb,
    /// Its path, with `{name}` for a part that varies.
    pub path: &'static str,
    /// Who may make it.
    pub access: Access,
    /// The parameters that its query may have; others are refused, because a typo must not be silent.
    pub query: &'static [&'static str],
    /// The largest body, in bytes.
    pub limit: usize,
    /// Whether pages of the tenant's web origins may make it from a browser.
    pub from_browsers: bool,
    /// What it does.
    pub handler: Handler,
}

/// The methods that calls use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verb {
    Get,
    Put,
    Post,
    Delete,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Call {
    /// A call that needs a key with a scope.
    #[must_use]
    pub const fn keyed(method: Verb, path: &'static str, scope: Scope, handler: Handler) -> Self {
        Self::with(method, path, Access::Key(scope), handler)
    }

    /// A call that needs a recipient token or a key with a scope, and may come from a browser.
    #[must_use]
    pub const fn reading(method: Verb, path: &'static str, scope: Scope, handler: Handler) -> Self {
        Self { from_browsers: true, ..Self::with(method, path, Access::Reader(scope), handler) }
    }

    /// A call that anybody may make.
    #[must_use]
    pub const fn public(method: Verb, path: &'static str, handler: Handler) -> Self {
        Self::with(method, path, Access::Public, handler)
    }

    const fn with(method: Verb, path: &'static str, access: Access, handler: Handler) -> Self {
        Self { method, path, access, query: &[], limit: BODY_LIMIT, from_browsers: false, handler }
    }

    /// The same call, not from browsers.
    #[must_use]
    pub const fn from_servers(mut self) -> Self {
        self.from_browsers = false;
        self
    }

    /// The same call with these query parameters.
    #[must_use]
    pub const fn querying(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    /// The same call with another body limit.
    #[must_use]
    pub const fn limited(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// A function's calls, ready to answer.
pub struct Service {
    pipeline: Arc<Pipeline>,
    calls: &'static [Call],
    paths: matchit::Router<Vec<usize>>,
}

/// A table of calls that contradicts itself.
#[derive(Debug, thiserror::Error)]
#[error("the path {path} cannot be routed: {reason}")]
pub struct BadTable {
    path: &'static str,
    reason: String,
}

impl Service {
    /// A service of these calls.
    ///
    /// # Errors
    /// When two paths contradict each other.
    pub fn new(pipeline: Arc<Pipeline>, calls: &'static [Call]) -> Result<Self, BadTable> {
        let mut by_path: Vec<(&'static str, Vec<usize>)> = Vec::new();
        for (i, call) in calls.iter().enumerate() {
            match by_path.iter_mut().find(|(path, _)| *path == call.path) {
                Some((_, places)) => places.push(i),
                None => by_path.push((call.path, vec![i])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, places) in by_path {
            paths.insert(path, places).map_err(|error| BadTable { path, reason: error.to_string() })?;
        }
        Ok(Self { pipeline, calls, paths })
    }

    /// Whether any call has this path.
    #[must_use]
    pub fn knows(&self, path: &str) -> bool {
        self.paths.at(path).is_ok()
    }

    /// Whether a call has this method and path.
    #[must_use]
    pub fn takes(&self, method: &str, path: &str) -> bool {
        let Ok(found) = self.paths.at(path) else { return false };
        found.value.iter().filter_map(|i| self.calls.get(*i)).any(|call| call.method.as_str() == method)
    }

    /// Answers a request. Never fails: every problem is an answer.
    pub async fn answer(&self, request: http::Request<Vec<u8>>) -> Response<Vec<u8>> {
        let path = request.uri().path().to_owned();
        let browser = self.browser(&request);
        if let Some(browser) = browser.as_ref().filter(|browser| browser.asks_first) {
            return browser.allowance(&self.pipeline).await.into_response();
        }
        let mut tenant = None;
        let answered = AssertUnwindSafe(self.handled(request, &mut tenant)).catch_unwind().await;
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => {
                if problem.kind.status() >= 500 {
                    tracing::error!(http.path = %template_free(&path), problem = problem.kind.urn(), "call failed");
                }
                Answer::problem(&problem, &path)
            }
            Err(_) => {
                tracing::error!(http.path = %template_free(&path), "a handler panicked");
                Answer::problem(
                    &Problem::new(ProblemKind::Internal, "This is our fault and has been logged."),
                    &path,
                )
            }
        };
        match browser {
            Some(browser) => browser.shown(&self.pipeline, tenant.as_ref(), answer).await.into_response(),
            None => answer.into_response(),
        }
    }

    /// The calls at a path.
    fn at(&self, path: &str) -> Vec<&Call> {
        let found = self.paths.at(path).ok();
        found.into_iter().flat_map(|found| found.value).filter_map(|i| self.calls.get(*i)).collect()
    }

    /// Answers a request. Tells whose it is as soon as that is known.
    async fn handled(
        &self,
        request: http::Request<Vec<u8>>,
        tenant: &mut Option<TenantId>,
    ) -> Result<Answer, Problem> {
        let (parts, body) = request.into_parts();
        let found = self.paths.at(parts.uri.path()).map_err(|_| {
            Problem::new(ProblemKind::NotFound, format!("There is nothing at {}.", parts.uri.path()))
        })?;
        let here: Vec<&Call> = found.value.iter().filter_map(|i| self.calls.get(*i)).collect();
        // HEAD is GET without its body, which the front door strips.
        let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
        let Some(call) = here.iter().find(|call| call.method.as_str() == method) else {
            let allowed = here.iter().map(|call| call.method.as_str()).collect::<Vec<_>>().join(", ");
            let mut problem =
                Problem::new(ProblemKind::MethodNotAllowed, format!("{} takes {allowed}.", parts.uri.path()));
            problem.allow = Some(allowed);
            return Err(problem);
        };
        if body.len() > call.limit {
            let detail =
                format!("The body has {} bytes; this call takes at most {}.", body.len(), call.limit);
            return Err(Problem::new(ProblemKind::TooLarge, detail));
        }
        let header = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let caller = match call.access {
            Access::Public => None,
            Access::Key(scope) => Some(Reader::Key(self.pipeline.authenticate(header).await?).with(scope)?),
            Access::Reader(scope) => Some(self.pipeline.authenticate_reader(header).await?.with(scope)?),
        };
        *tenant = caller.as_ref().map(|caller| caller.tenant().clone());
        let request = Request::new(&parts, &found.params, body, caller)?;
        request.allow_query(call.query)?;
        (call.handler)(&self.pipeline, &request).await
    }
}

/// A path for the log: its literal parts only, because ids and names may be personal.
fn template_free(path: &str) -> String {
    path.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// Runs a service as a Lambda function behind an HTTP API or a function URL.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn run(service: Service) -> Result<(), lambda_http::Error> {
    let service = Arc::new(service);
    lambda_http::run(lambda_http::service_fn(move |request: lambda_http::Request| {
        let service = Arc::clone(&service);
        async move {
            let request = request.map(|body| body.to_vec());
            Ok::<_, lambda_http::Error>(service.answer(request).await.map(lambda_http::Body::from))
        }
    }))
    .await
}
