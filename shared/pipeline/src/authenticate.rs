//! Who is calling. Reads the key item of a bearer key's hash; the key itself is stored nowhere.

use carillon_domain::ids::api_key_hash;
use carillon_domain::{Principal, Problem, ProblemKind, Scope};

use crate::context::Pipeline;
use crate::recipient_tokens::recipient_token;

impl Pipeline {
    /// The caller that an `Authorization` header proves.
    ///
    /// # Errors
    /// 401 without a key, or with one that is unknown or over; 403 for a recipient token.
    pub async fn authenticate(&self, authorization: Option<&str>) -> Result<Principal, Problem> {
        let refuse = |detail: &str| Problem::new(ProblemKind::Unauthenticated, detail);
        if recipient_token(authorization).is_some() {
            let detail = "A recipient token opens its recipient's inbox and preferences only.";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        let header = authorization.ok_or_else(|| refuse("Send the header `Authorization: Bearer <key>`."))?;
        let (scheme, key) = header.split_once(' ').unwrap_or((header, ""));
        let key = key.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
            return Err(refuse("The Authorization header must be `Bearer <key>`."));
        }
        // Looked up by its SHA-256, so no comparison of secrets happens here that could leak by its time.
        let found = self.api_key(&api_key_hash(key)).await?;
        let found = found.ok_or_else(|| refuse("This key is not known."))?;
        if found.expires_at.is_some_and(|at| at <= self.now()) {
            return Err(refuse("This key has expired."));
        }
        Ok(Principal {
            tenant: found.tenant.clone(),
            key_id: found.id.clone(),
            key_kind: found.kind,
            scopes: found.scopes.clone(),
        })
    }
}

/// Refuses a caller without a scope.
///
/// # Errors
/// 403 naming the scope.
pub fn require(caller: &Principal, scope: Scope) -> Result<(), Problem> {
    if caller.may(scope) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Forbidden, format!("The key lacks the scope {:?}.", scope.as_str())))
}
