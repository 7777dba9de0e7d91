//! Keys of a tenant: made, listed and removed by somebody who has one. Nobody can make a key that may do more than their
//! own, and only the platform reaches other tenants.

use std::collections::BTreeSet;

use carillon_domain::ids::api_key_hash;
use carillon_domain::parse::from_value;
use carillon_domain::tenant::is_name;
use carillon_domain::{
    ApiKey, FieldError, KeyKind, Principal, Problem, ProblemKind, Scope, TenantId, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use crate::context::Pipeline;

/// A key as it is asked for.
#[derive(Debug, Deserialize)]
pub struct KeyInput {
    name: String,
    kind: KeyKind,
    scopes: Vec<Scope>,
    tenant: Option<TenantId>,
    expires_at: Option<Timestamp>,
}

/// A key that was just made: the only time that its text is known.
#[derive(Debug)]
pub struct IssuedKey {
    /// What opens the API.
    pub text: String,
    /// What is stored of it.
    pub key: ApiKey,
}

impl Pipeline {
    /// Makes a key.
    ///
    /// # Errors
    /// 403 for what the caller's own key may not do, 422 for what cannot be.
    pub async fn issue_key(&self, caller: &Principal, body: Value) -> Result<IssuedKey, Problem> {
        let input: KeyInput = from_value(body)?;
        let tenant = reachable(caller, input.tenant.as_ref())?.clone();
        grantable(caller, &input)?;
        let mut faults = Vec::new();
        if !is_name(&input.name) {
            let detail = "must have 1 to 200 characters, none of them a control character";
            faults.push(FieldError::new("/name", detail));
        }
        if input.scopes.is_empty() {
            faults.push(FieldError::new("/scopes", "a key needs at least one scope"));
        }
        if input.expires_at.is_some_and(|at| at <= self.now()) {
            faults.push(FieldError::new("/expires_at", "is in the past"));
        }
        if self.tenant(&tenant).await?.is_none() {
            faults.push(FieldError::new("/tenant", format!("there is no tenant {:?}", tenant.as_str())));
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let text = self.random_key_text(input.kind);
        let hash = api_key_hash(&text);
        let key = ApiKey {
            id: self.key_id(&hash),
            name: input.name,
            tenant,
            kind: input.kind,
            scopes: input.scopes.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
            expires_at: input.expires_at,
            created_at: self.now_in_millis(),
        };
        self.put_api_key(&hash, &key).await?;
        Ok(IssuedKey { text, key })
    }

    /// A page of the keys of the caller's tenant, or of the one that the platform names.
    ///
    /// # Errors
    /// 403 for another tenant without `platform`.
    pub async fn issued_keys(
        &self,
        caller: &Principal,
        tenant: Option<&TenantId>,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<ApiKey>, Option<String>), Problem> {
        let (records, next) = self.api_keys(reachable(caller, tenant)?, limit, after).await?;
        Ok((records.into_iter().map(|record| record.key).collect(), next))
    }

    /// Removes a key of the caller's tenant, or of the one that the platform names. Answers whether there was one.
    ///
    /// # Errors
    /// 403 for another tenant without `platform`.
    pub async fn revoke_key(
        &self,
        caller: &Principal,
        tenant: Option<&TenantId>,
        id: &str,
    ) -> Result<bool, Problem> {
        Ok(self.delete_api_key(reachable(caller, tenant)?, id).await?)
    }
}

/// The tenant whose keys are meant.
fn reachable<'a>(caller: &'a Principal, named: Option<&'a TenantId>) -> Result<&'a TenantId, Problem> {
    match named {
        Some(other) if *other != caller.tenant && !caller.may(Scope::Platform) => {
            let detail = "Keys of another tenant need a key with the scope \"platform\".";
            Err(Problem::new(ProblemKind::Forbidden, detail))
        }
        Some(named) => Ok(named),
        None => Ok(&caller.tenant),
    }
}

/// Refuses to hand on what the caller's own key lacks: a scope, or sending to everybody.
fn grantable(caller: &Principal, input: &KeyInput) -> Result<(), Problem> {
    let lacking = input.scopes.iter().enumerate().filter(|(_, scope)| !caller.may(**scope));
    let mut faults: Vec<FieldError> = lacking
        .map(|(i, scope)| {
            let detail = format!("the key that asks has no {:?} to hand on", scope.as_str());
            FieldError::new(format!("/scopes/{i}"), detail)
        })
        .collect();
    if !caller.key_kind.is_live() && input.kind != caller.key_kind {
        let own = caller.key_kind.as_str();
        faults.push(FieldError::new("/kind", format!("a {own} key can only make {own} keys")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let detail = "A key cannot hand on more than it may do itself.";
    let mut problem = Problem::new(ProblemKind::Forbidden, detail);
    problem.errors = faults;
    Err(problem)
}
