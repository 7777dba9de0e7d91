//! What a caller is told when a call cannot be done: RFC 9457 problem details.

use serde::{Deserialize, Serialize};

/// One thing that is wrong with the input: where (RFC 6901 JSON pointer; empty for the whole) and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON pointer into the request body.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl FieldError {
    /// A fault at a pointer.
    #[must_use]
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The same fault, seen from one level further out.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

/// One part of a JSON pointer, escaped as RFC 6901 asks.
#[must_use]
pub fn pointer_part(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $slug:literal, $title:literal;)+) => {
        /// The stable kinds of problem; each has one HTTP status and one `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $variant),+ }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The stable `type`, a URN.
            #[must_use]
            pub fn urn(self) -> &'static str {
                match self { $(Self::$variant => concat!("urn:carillon:problem:", $slug)),+ }
            }

            /// The title, the same for every problem of the kind.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

kinds! {
    /// The body is not JSON, or not in the form the content type promises.
    Malformed = 400, "malformed", "The request cannot be read";
    /// No key, or none that is known.
    Unauthenticated = 401, "unauthenticated", "A valid key is needed";
    /// The key lacks the scope.
    Forbidden = 403, "forbidden", "The key may not do this";
    /// Nothing here by that name, for this tenant.
    NotFound = 404, "not-found", "There is no such thing";
    /// The path exists and the method does not.
    MethodNotAllowed = 405, "method-not-allowed", "This path does not take that method";
    /// The thing is in the wrong state, or the name is taken.
    Conflict = 409, "conflict", "It is in the wrong state or already taken";
    /// The body is over the limit.
    TooLarge = 413, "too-large", "The body is too large";
    /// The content type is not taken here.
    UnsupportedMediaType = 415, "unsupported-media-type", "This content type is not accepted";
    /// Well-formed, and cannot be accepted.
    Invalid = 422, "invalid", "The request cannot be accepted";
    /// Our fault.
    Internal = 500, "internal", "Something went wrong here";
    /// Try again later.
    Unavailable = 503, "unavailable", "Temporarily not available";
}

/// An RFC 9457 problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind, which fixes `type`, `title` and `status`.
    pub kind: ProblemKind,
    /// What happened this time, for a person.
    pub detail: String,
    /// What is wrong with the input, where.
    pub errors: Vec<FieldError>,
    /// For 429 and 503: how long to wait.
    pub retry_after_s: Option<u32>,
    /// For 405: the methods that the path takes.
    pub allow: Option<String>,
}

impl Problem {
    /// A problem with a detail.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after_s: None, allow: None }
    }

    /// Valid JSON that cannot be accepted, with every fault that was found.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => format!("{}: {}", one.pointer, one.detail),
            many => format!("{} faults were found; nothing was changed.", many.len()),
        };
        Self { kind: ProblemKind::Invalid, detail, errors, retry_after_s: None, allow: None }
    }

    /// Nothing by that name for this tenant.
    #[must_use]
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no {what} {name:?}.", name = name.to_string()))
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self, instance: &str) -> serde_json::Value {
        let mut body = serde_json::json!({
            "type": self.kind.urn(),
            "title": self.kind.title(),
            "status": self.kind.status(),
            "detail": self.detail,
            "instance": instance,
        });
        if !self.errors.is_empty() {
            body["errors"] = serde_json::json!(self.errors);
        }
        body
    }
}

impl From<Vec<FieldError>> for Problem {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::invalid(errors)
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::invalid(vec![error])
    }
}
