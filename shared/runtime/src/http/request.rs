//! A request as handlers see it: decoded path parts, a query without surprises, and a body that is parsed on demand.

use std::collections::BTreeMap;

use carillon_domain::{FieldError, Principal, Problem, ProblemKind, Timestamp};
use carillon_pipeline::read::LogPage;
use carillon_pipeline::recipient_tokens::Reader;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, request};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// How many items a list answers when the caller does not say, and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// A request whose call and caller are known.
#[derive(Debug)]
pub struct Request {
    caller: Option<Reader>,
    parts: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListWindow {
    /// At most so many.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Request {
    pub(crate) fn new(
        head: &request::Parts,
        params: &matchit::Params<'_, '_>,
        body: Vec<u8>,
        caller: Option<Reader>,
    ) -> Result<Self, Problem> {
        let unreadable = || Problem::new(ProblemKind::Malformed, "The URL is not percent-encoded UTF-8.");
        let mut parts = BTreeMap::new();
        for (name, value) in params.iter() {
            let decoded = percent_decode_str(value).decode_utf8().map_err(|_| unreadable())?;
            parts.insert(name.to_owned(), decoded.into_owned());
        }
        let mut query = BTreeMap::new();
        for pair in head.uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| -> Result<String, Problem> {
                let spaced = text.replace('+', " ");
                Ok(percent_decode_str(&spaced).decode_utf8().map_err(|_| unreadable())?.into_owned())
            };
            if query.insert(decode(name)?, decode(value)?).is_some() {
                return Err(Problem::new(ProblemKind::Malformed, format!("The query names {name:?} twice.")));
            }
        }
        Ok(Self { caller, parts, query, headers: head.headers.clone(), body })
    }

    /// Who is calling.
    ///
    /// # Errors
    /// Never for a call that needs a key: it is not handled without one.
    pub fn caller(&self) -> Result<&Principal, Problem> {
        match &self.caller {
            Some(Reader::Key(caller)) => Ok(caller),
            _ => Err(Problem::new(ProblemKind::Unauthenticated, "A key is needed.")),
        }
    }

    /// Who is calling, where a recipient token will do as well as a key.
    ///
    /// # Errors
    /// Never for a call that needs one of the two: it is not handled without.
    pub fn reader(&self) -> Result<&Reader, Problem> {
        let needed = || Problem::new(ProblemKind::Unauthenticated, "A key or a recipient token is needed.");
        self.caller.as_ref().ok_or_else(needed)
    }

    /// Whether the path of the call has this part.
    #[must_use]
    pub fn has_part(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// A part of the path, as its type.
    ///
    /// # Errors
    /// 404: what cannot be a name is not there.
    pub fn part<T: TryFrom<String>>(&self, name: &str) -> Result<T, Problem> {
        let text = self.parts.get(name).cloned().unwrap_or_default();
        let missing = Problem::not_found(name, &text);
        T::try_from(text).map_err(|_| missing)
    }

    /// A part of the path that is being named, as its type.
    ///
    /// # Errors
    /// 422 with the rule that the name breaks.
    pub fn naming<T: TryFrom<String, Error = carillon_domain::ids::InvalidId>>(
        &self,
        name: &str,
    ) -> Result<T, Problem> {
        let text = self.parts.get(name).cloned().unwrap_or_default();
        T::try_from(text).map_err(|rule| FieldError::new("", format!("the {name} in the path {rule}")).into())
    }

    /// A header, if it is there once and readable.
    ///
    /// # Errors
    /// 400 when it is there twice or not text.
    pub fn header(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.headers.get_all(name).iter();
        let Some(first) = values.next() else { return Ok(None) };
        let malformed =
            |what: &str| Problem::new(ProblemKind::Malformed, format!("The header {name} {what}."));
        if values.next().is_some() {
            return Err(malformed("is there twice"));
        }
        first.to_str().map(Some).map_err(|_| malformed("is not text"))
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A parameter of the query, as its type.
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub fn query_as<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parsed = self.query(name).map(str::parse).transpose();
        parsed.map_err(|_| {
            Problem::new(
                ProblemKind::Malformed,
                format!("The query parameter {name} has a value that it cannot have."),
            )
        })
    }

    /// Refuses query parameters that a call does not have.
    pub(crate) fn allow_query(&self, names: &[&str]) -> Result<(), Problem> {
        match self.query.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let detail = format!("There is no query parameter {unknown:?} here; there are: {known}.");
                Err(Problem::new(ProblemKind::Malformed, detail))
            }
        }
    }

    /// The page of a list that is wanted.
    ///
    /// # Errors
    /// 400 for a limit outside 1 to 200.
    pub fn window(&self) -> Result<ListWindow, Problem> {
        let limit = self.query_as::<usize>("limit")?.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::new(ProblemKind::Malformed, format!("limit must be 1 to {LIMIT_MAX}.")));
        }
        Ok(ListWindow { limit, cursor: self.query("cursor").filter(|c| !c.is_empty()).map(str::to_owned) })
    }

    /// The part of the log that is wanted.
    ///
    /// # Errors
    /// 400 for times that are not RFC 3339.
    pub fn log_page(&self) -> Result<LogPage, Problem> {
        let ListWindow { limit, cursor } = self.window()?;
        let from = self.query_as::<Timestamp>("from")?;
        let to = self.query_as::<Timestamp>("to")?;
        Ok(LogPage { from, to, limit, cursor })
    }

    /// The body as JSON; media types beside `application/json` as given.
    ///
    /// # Errors
    /// 415 for another media type, 400 for what is not JSON.
    pub fn json(&self, also: &[&str]) -> Result<Value, Problem> {
        let media_type = self.header(CONTENT_TYPE.as_str())?.unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" && !also.contains(&essence.as_str()) {
            let detail = format!("Send Content-Type: application/json; this was {media_type:?}.");
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let detail = format!("The body is not JSON: {error}.");
            Problem::new(ProblemKind::Malformed, detail)
        })
    }

    /// The body as JSON; an empty object when there is no body.
    ///
    /// # Errors
    /// As for [`Self::json`].
    pub fn json_or_nothing(&self) -> Result<Value, Problem> {
        if self.body.is_empty() { Ok(Value::Object(serde_json::Map::new())) } else { self.json(&[]) }
    }
}
