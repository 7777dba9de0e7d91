//! What a handler answers, before it is an HTTP response.

use carillon_domain::Problem;
use carillon_pipeline::jobs::Worked;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// JSON with a status.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    /// 200 with JSON.
    #[must_use]
    pub fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    /// 201 for something new, 200 else.
    #[must_use]
    pub fn put(new: bool, body: &Value) -> Self {
        Self::json(if new { 201 } else { 200 }, body)
    }

    /// 200 with the result of what was small, 202 with a job else.
    #[must_use]
    pub fn worked(worked: Worked) -> Self {
        match worked {
            Worked::AtOnce(result) => Self::ok(&result),
            Worked::AsJob(id) => Self::json(202, &json!({"job_id": id})).at(format!("/v1/jobs/{id}")),
        }
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self { status: 204, headers: Vec::new(), body: Vec::new() }
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        let headers = vec![(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    /// An HTML page that runs no script, loads nothing and is framed by nobody.
    #[must_use]
    pub fn page(status: u16, html: &str) -> Self {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
        let headers = vec![
            (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (CONTENT_SECURITY_POLICY, policy.to_owned()),
            (REFERRER_POLICY, "no-referrer".to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        Self { status, headers, body: html.as_bytes().to_vec() }
    }

    /// A page of a list.
    #[must_use]
    pub fn list(items: &[Value], next_cursor: Option<&str>) -> Self {
        Self::ok(&json!({"items": items, "next_cursor": next_cursor}))
    }

    /// A problem.
    #[must_use]
    pub fn problem(problem: &Problem, instance: &str) -> Self {
        let mut answer = Self::json(problem.kind.status(), &problem.to_json(instance));
        answer.headers = vec![(CONTENT_TYPE, "application/problem+json".to_owned())];
        if let Some(seconds) = problem.retry_after_s {
            answer.headers.push((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(methods) = &problem.allow {
            answer.headers.push((ALLOW, methods.clone()));
        }
        if answer.status == 401 {
            answer.headers.push((WWW_AUTHENTICATE, "Bearer".to_owned()));
        }
        answer
    }

    /// 304: what the caller has is what there is.
    #[must_use]
    pub fn not_modified() -> Self {
        Self { status: 304, headers: Vec::new(), body: Vec::new() }
    }

    /// The same answer with an `ETag`, by which the caller can ask whether it is still the same.
    #[must_use]
    pub fn tagged(self, tag: &str) -> Self {
        self.with(ETAG, format!("\"{tag}\""))
    }

    /// A script that pages of any origin may load, and browsers may keep for an hour.
    #[must_use]
    pub fn script(text: &str) -> Self {
        let headers = vec![
            (CONTENT_TYPE, "text/javascript; charset=utf-8".to_owned()),
            (CACHE_CONTROL, "public, max-age=3600".to_owned()),
            (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        Self { status: 200, headers, body: text.as_bytes().to_vec() }
    }

    /// The same answer with another header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer with a `Location`.
    #[must_use]
    pub fn at(mut self, location: String) -> Self {
        self.headers.push((LOCATION, location));
        self
    }

    /// The HTTP response. What an API answers is for the caller alone, so nothing between may keep it.
    #[must_use]
    pub fn into_response(self) -> Response<Vec<u8>> {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
