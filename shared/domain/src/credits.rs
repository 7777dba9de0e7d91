//! Credits: how much a tenant may still send, in messages or in money. What needs credits and finds none waits; what is
//! critical does not ask.

use serde::{Deserialize, Serialize};

use crate::problem::FieldError;

/// What credits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditUnit {
    /// Messages that a provider accepted.
    Messages,
    /// What they are expected to cost, in millionths of a US dollar.
    Money,
}

/// A tenant's credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// What is counted.
    pub unit: CreditUnit,
    /// What is left; below 0 when what is critical was sent without any.
    pub balance: i64,
    /// What the tenant is given for a period, which percentages are of.
    pub allowance: i64,
}

/// How low credits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditLevel {
    /// Enough.
    Ok,
    /// A quarter of the allowance or less.
    Warning,
    /// A tenth of it or less.
    Critical,
}

impl Credits {
    /// What is left, in percent of the allowance; none without an allowance.
    #[must_use]
    pub fn percent(&self) -> Option<i64> {
        (self.allowance > 0).then(|| self.balance.saturating_mul(100) / self.allowance)
    }

    /// How low they are. Without an allowance only an empty balance says something.
    #[must_use]
    pub fn level(&self) -> CreditLevel {
        let at_most =
            |percent: i64| self.balance.saturating_mul(100) <= self.allowance.saturating_mul(percent);
        if self.balance <= 0 || at_most(10) {
            CreditLevel::Critical
        } else if at_most(25) {
            CreditLevel::Warning
        } else {
            CreditLevel::Ok
        }
    }

    /// What is wrong with credits that are put.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let fields = [("/balance", self.balance), ("/allowance", self.allowance)];
        let wrong = fields.into_iter().filter(|(_, n)| !(0..=MOST).contains(n));
        wrong
            .map(|(pointer, _)| FieldError::new(pointer, format!("must be a whole number from 0 to {MOST}")))
            .collect()
    }
}

/// Far more than anybody sends, and exact in JSON everywhere.
const MOST: i64 = 1_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// E11.
    #[test]
    fn credits_warn_at_a_quarter_and_are_critical_at_a_tenth() {
        use CreditLevel::{Critical, Ok, Warning};
        for (balance, level) in [
            (1_000, Ok),
            (251, Ok),
            (250, Warning),
            (101, Warning),
            (100, Critical),
            (0, Critical),
            (-5, Critical),
        ] {
            let credits = Credits { unit: CreditUnit::Messages, balance, allowance: 1_000 };
            assert_eq!((credits.level(), credits.percent()), (level, Some(balance / 10)), "{balance}");
        }
    }
}
