//! Recipient tokens: a tenant's backend asks for one, and hands it to the person's browser or app. Reads the deployment's
//! token key, of which two may be live; nothing is stored.

use carillon_domain::ids::HashKey;
use carillon_domain::{Principal, Problem, ProblemKind, RecipientId, RecipientToken, Scope, TenantId};
use jiff::SignedDuration;

use crate::authenticate::require;
use crate::bootstrap::RECIPIENT_TOKEN_KEY;
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::StoreError;

/// How long a token opens an inbox: a page that stays open asks its backend for the next.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Who reads an inbox or preferences.
#[derive(Debug, Clone)]
pub enum Reader {
    /// The recipient, by a token.
    Recipient(RecipientToken),
    /// An app, by a key.
    Key(Principal),
}

impl Reader {
    /// The tenant that the call acts in.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Recipient(token) => &token.tenant,
            Self::Key(caller) => &caller.tenant,
        }
    }

    /// The same, if a key has this scope; a recipient needs none.
    ///
    /// # Errors
    /// 403 naming the scope.
    pub fn with(self, scope: Scope) -> Result<Self, Problem> {
        if let Self::Key(caller) = &self {
            require(caller, scope)?;
        }
        Ok(self)
    }
}

impl Pipeline {
    /// A token for a recipient's inbox and preferences.
    ///
    /// # Errors
    /// 404 without such a recipient; 503 where the deployment has no token key yet.
    pub async fn issue_recipient_token(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
    ) -> Result<(String, RecipientToken), Problem> {
        let recipient = self.recipient_key(tenant, id);
        if !self.is_recipient(tenant, &recipient).await? {
            return Err(Problem::not_found("recipient", id));
        }
        let keys = self.recipient_token_keys().await?;
        let Some(newest) = keys.first() else {
            let detail = "The deployment has no key to sign with yet: run `carillon bootstrap`.";
            return Err(Problem::new(ProblemKind::Unavailable, detail));
        };
        let until = plus(self.now(), GOOD_FOR);
        let expires_at = carillon_domain::Timestamp::from_second(until.as_second()).unwrap_or(until);
        let token = RecipientToken { tenant: tenant.clone(), recipient, expires_at };
        Ok((token.text(newest), token))
    }

    /// Who an `Authorization` header proves, where a recipient token will do as well as a key.
    ///
    /// # Errors
    /// 401 for a token that is not ours or is over, and as for a key.
    pub async fn authenticate_reader(&self, authorization: Option<&str>) -> Result<Reader, Problem> {
        let Some(text) = recipient_token(authorization) else {
            return Ok(Reader::Key(self.authenticate(authorization).await?));
        };
        let refuse = |detail: &str| Problem::new(ProblemKind::Unauthenticated, detail);
        let token = RecipientToken::read(text, &self.recipient_token_keys().await?);
        let token = token.ok_or_else(|| refuse("This recipient token is not known."))?;
        if token.expires_at <= self.now() {
            return Err(refuse("This recipient token has expired: ask for another."));
        }
        Ok(Reader::Recipient(token))
    }

    async fn recipient_token_keys(&self) -> Result<Vec<HashKey>, StoreError> {
        let live = self.secret(RECIPIENT_TOKEN_KEY).await?;
        Ok(live.iter().map(|value| HashKey::from_bytes(value.as_bytes())).collect())
    }
}

/// The recipient token in an `Authorization` header; none when it brings something else.
pub(crate) fn recipient_token(authorization: Option<&str>) -> Option<&str> {
    let (scheme, text) = authorization?.split_once(' ')?;
    let text = text.trim();
    (scheme.eq_ignore_ascii_case("bearer") && text.starts_with(RecipientToken::PREFIX)).then_some(text)
}
