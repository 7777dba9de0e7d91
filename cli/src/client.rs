//! The client of the API: one place that adds the key, reads problems, and tells "refused" from "not reached".

use std::fmt;
use std::time::Duration;

use carillon_domain::FieldError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outcome::Failure;

/// How long an answer may take: the API answers every call within 10 s or with a job, and a cold start adds some.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The largest page of a list.
const PAGE: usize = 200;

/// RFC 3986's unreserved characters stay as they are; everything else in a part of a path or query is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of one cloud, acting with one key.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer came.
    #[error("cannot reach {url}: {cause}")]
    Unreachable {
        /// Which cloud.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// The answer is a problem.
    #[error("{call}: {problem}")]
    Refused {
        /// Method and path.
        call: String,
        /// What the API says.
        problem: Box<ProblemAnswer>,
    },
    /// The answer is not one of this API.
    #[error("{call}: the answer (HTTP {status}) is not one of Carillon's API; is the URL right?")]
    Unreadable {
        /// Method and path.
        call: String,
        /// Its HTTP status.
        status: u16,
    },
}

/// A problem as it comes from the API (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemAnswer {
    /// The stable kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    #[serde(default)]
    pub detail: String,
    /// What is wrong with the input, where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl fmt::Display for ProblemAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}). {}", self.title, self.status, self.detail)?;
        // With one fault the detail is that fault already.
        for error in self.errors.iter().filter(|_| self.errors.len() > 1) {
            write!(f, "\n  {}: {}", error.pointer, error.detail)?;
        }
        if self.status == 401 {
            write!(f, "\n  The key is --key or CARILLON_API_KEY; `carillon dev` prints one for its cloud.")?;
        }
        Ok(())
    }
}

impl CallError {
    /// Whether no answer came at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A part of a path or query, encoded.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

impl Client {
    /// A client; nothing is called yet.
    ///
    /// # Errors
    /// When the URL is none, or TLS cannot be set up.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, Failure> {
        let parsed =
            reqwest::Url::parse(url).ok().filter(|u| ["http", "https"].contains(&u.scheme()) && u.has_host());
        if parsed.is_none() {
            return Err(Failure::Usage(format!(
                "{url:?} is not the URL of a cloud; write it like https://host or http://127.0.0.1:8787"
            )));
        }
        let http = carillon_runtime::outbound::client()
            .map_err(|error| Failure::Fault(format!("TLS cannot be set up: {error}")))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key: key.map(str::to_owned) })
    }

    /// The cloud's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads one thing.
    pub async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call(reqwest::Method::GET, path, None).await.map(|(_, body)| body)
    }

    /// Reads one thing that may not be there.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, CallError> {
        match self.get(path).await {
            Err(CallError::Refused { problem, .. }) if problem.status == 404 => Ok(None),
            answered => answered.map(Some),
        }
    }

    /// Puts one thing; answers whether it is new.
    pub async fn put(&self, path: &str, body: &Value) -> Result<bool, CallError> {
        self.call(reqwest::Method::PUT, path, Some(body)).await.map(|(status, _)| status == 201)
    }

    /// Puts something that is answered with more than whether it is new.
    pub async fn put_for(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.call(reqwest::Method::PUT, path, Some(body)).await.map(|(_, body)| body)
    }

    /// Removes one thing.
    pub async fn delete(&self, path: &str) -> Result<(), CallError> {
        self.call(reqwest::Method::DELETE, path, None).await.map(drop)
    }

    /// Posts.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.call(reqwest::Method::POST, path, Some(body)).await.map(|(_, body)| body)
    }

    /// Posts JSON values, one in each line.
    pub async fn post_lines(&self, path: &str, lines: Vec<u8>) -> Result<Value, CallError> {
        let typed = |request: reqwest::RequestBuilder| {
            request.header(reqwest::header::CONTENT_TYPE, "application/x-ndjson").body(lines)
        };
        self.sent(reqwest::Method::POST, path, typed).await.map(|(_, body)| body)
    }

    /// The first `limit` items of a list, over as many pages as that takes. A page may be short without being the last.
    pub async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<Value>, CallError> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = (limit - items.len()).min(PAGE).to_string();
            let mut pairs: Vec<(&str, &str)> =
                query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            pairs.push(("limit", &page));
            pairs.extend(cursor.as_deref().map(|c| ("cursor", c)));
            let pairs: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            let mut answer = self.get(&format!("{path}?{}", pairs.join("&"))).await?;
            let Value::Array(found) = answer["items"].take() else {
                return Err(CallError::Unreadable { call: format!("GET {path}"), status: 200 });
            };
            items.extend(found);
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), CallError> {
        let with_body = |request: reqwest::RequestBuilder| match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.sent(method, path, with_body).await
    }

    async fn sent(
        &self,
        method: reqwest::Method,
        path: &str,
        with_body: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<(u16, Value), CallError> {
        let call = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let mut request = self.http.request(method, format!("{}{path}", self.url)).timeout(ANSWER_WITHIN);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let unreachable =
            |error: reqwest::Error| CallError::Unreachable { url: self.url.clone(), cause: cause(&error) };
        let response = with_body(request).send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(unreachable)?;
        let unreadable = || CallError::Unreadable { call: call.clone(), status };
        let body: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|_| unreadable())?
        };
        if (200..300).contains(&status) {
            return Ok((status, body));
        }
        let problem = serde_json::from_value(body).map_err(|_| unreadable())?;
        Err(CallError::Refused { call, problem })
    }
}

/// The innermost cause, which is what the network said; the outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return format!("no answer within {} s", ANSWER_WITHIN.as_secs());
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_problem_reads_as_a_sentence_with_every_pointer() {
        let problem: ProblemAnswer = serde_json::from_value(json!({
            "type": "urn:carillon:problem:invalid", "title": "The request cannot be accepted", "status": 422,
            "detail": "2 faults were found; nothing was changed.", "instance": "/v1/events",
            "errors": [{"pointer": "/type", "detail": "is missing"}, {"pointer": "/time", "detail": "is no time"}]
        }))
        .unwrap();
        assert_eq!(
            problem.to_string(),
            "The request cannot be accepted (422). 2 faults were found; nothing was changed.\n  \
             /type: is missing\n  /time: is no time"
        );
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(encoded("Sales Team/é?"), "Sales%20Team%2F%C3%A9%3F");
    }

    #[test]
    fn what_is_no_url_is_refused_before_a_call() {
        for url in ["", "127.0.0.1:8787", "ftp://example.com", "http://"] {
            assert!(matches!(Client::new(url, None), Err(Failure::Usage(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_unreachable() {
        // Port 1 needs root to listen on, and its service is long gone.
        let error = Client::new("http://127.0.0.1:1", None).unwrap().get("/health").await.unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
