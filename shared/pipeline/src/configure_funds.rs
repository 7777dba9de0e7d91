//! Credits and budgets as operators see and set them. When there is more to spend than before, the job `release` lets go what
//! waited for it; `funds.rs` says what waits.

use carillon_domain::budget::Budget;
use carillon_domain::credits::{CreditUnit, Credits};
use carillon_domain::parse::from_value;
use carillon_domain::{FieldError, Problem, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::jobs::JobInput;
use crate::store::credits::Bounds;

/// How many budgets a tenant may have.
const MOST_BUDGETS: usize = 100;

/// Credits as they are put. What an answer shows may be put back: percent and level are read and mean nothing.
#[derive(Deserialize)]
struct CreditsInput {
    unit: Option<CreditUnit>,
    #[serde(default)]
    balance: Option<i64>,
    #[serde(default)]
    allowance: Option<i64>,
    #[serde(default, rename = "percent")]
    _percent: Value,
    #[serde(default, rename = "level")]
    _level: Value,
}

#[derive(Deserialize)]
struct BudgetsInput {
    budgets: Vec<Budget>,
}

impl Pipeline {
    /// A tenant's credits, as of now; nulls when it has none.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn credits_view(&self, tenant: &TenantId) -> Result<Value, Problem> {
        let bounds = self.stored_bounds(tenant).await?;
        let credits = match bounds.credits {
            Some(_) => self.stored_credits(tenant).await?,
            None => None,
        };
        Ok(shown(credits))
    }

    /// Replaces a tenant's credits; a unit of null takes them away, and then nothing is counted.
    ///
    /// # Errors
    /// 422 for what cannot be.
    pub async fn configure_credits(&self, tenant: &TenantId, body: Value) -> Result<Value, Problem> {
        let input: CreditsInput = from_value(body)?;
        let credits = match input.unit {
            None => None,
            Some(unit) => {
                let missing = || FieldError::new("/balance", "is needed with a unit");
                let balance = input.balance.ok_or_else(missing)?;
                let credits = Credits { unit, balance, allowance: input.allowance.unwrap_or(balance) };
                let faults = credits.faults();
                if !faults.is_empty() {
                    return Err(faults.into());
                }
                Some(credits)
            }
        };
        let before = self.stored_bounds(tenant).await?;
        let were_used_up = match before.credits {
            Some(_) => self.stored_credits(tenant).await?.is_some_and(|credits| credits.balance <= 0),
            None => false,
        };
        // The balance first: whoever reads that there are credits finds it.
        if let Some(credits) = &credits {
            self.put_credits(tenant, credits).await?;
        }
        let bounds = Bounds { credits: credits.map(|credits| credits.unit), ..before.clone() };
        if bounds != before {
            self.put_bounds(tenant, &bounds).await?;
        }
        tracing::info!(tenant.id = %tenant, credits.balance = credits.map(|c| c.balance), "credits set");
        if were_used_up && credits.is_none_or(|credits| credits.balance > 0) {
            self.start_job(tenant, JobInput::Release { lifted_at: self.now() }).await?;
        }
        Ok(shown(credits))
    }

    /// A tenant's budgets.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn budgets_view(&self, tenant: &TenantId) -> Result<Value, Problem> {
        Ok(json!({"budgets": self.stored_bounds(tenant).await?.budgets}))
    }

    /// Replaces a tenant's budgets.
    ///
    /// # Errors
    /// 422 for what cannot be.
    pub async fn configure_budgets(&self, tenant: &TenantId, body: Value) -> Result<Value, Problem> {
        let BudgetsInput { budgets } = from_value(body)?;
        if budgets.len() > MOST_BUDGETS {
            return Err(FieldError::new("/budgets", format!("has more than {MOST_BUDGETS} budgets")).into());
        }
        let faults: Vec<FieldError> = budgets
            .iter()
            .enumerate()
            .flat_map(|(at, budget)| {
                budget.faults().into_iter().map(move |fault| fault.under(&format!("/budgets/{at}")))
            })
            .collect();
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let before = self.stored_bounds(tenant).await?;
        let bounds = Bounds { budgets, ..before.clone() };
        if bounds != before {
            self.put_bounds(tenant, &bounds).await?;
            tracing::info!(tenant.id = %tenant, budgets = bounds.budgets.len(), "budgets set");
            if !before.budgets.is_empty() {
                self.start_job(tenant, JobInput::Release { lifted_at: self.now() }).await?;
            }
        }
        Ok(json!({"budgets": bounds.budgets}))
    }
}

fn shown(credits: Option<Credits>) -> Value {
    match credits {
        None => json!({"unit": null, "balance": null, "allowance": null, "percent": null, "level": null}),
        Some(credits) => json!({
            "unit": credits.unit,
            "balance": credits.balance,
            "allowance": credits.allowance,
            "percent": credits.percent(),
            "level": credits.level(),
        }),
    }
}
