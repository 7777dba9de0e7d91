//! What a tenant may still spend: whether it has credits and which budgets, remembered like settings, and the balance of its
//! credits, which every batch of calls takes from. `funds.rs` decides by them.

use std::sync::Arc;

use carillon_domain::TenantId;
use carillon_domain::budget::Budget;
use carillon_domain::credits::{CreditUnit, Credits};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, Write};

/// How often a balance is changed again that somebody else changed meanwhile.
const REPEATS: u32 = 30;

/// The longest wait between two of them.
const REPEAT_MS: u64 = 50;

/// What bounds a tenant's spending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The unit of its credits; none when it has no credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<CreditUnit>,
    /// Its budgets.
    #[serde(default)]
    pub budgets: Vec<Budget>,
}

impl Pipeline {
    /// What bounds a tenant's spending, at most two seconds old.
    pub(crate) async fn bounds(&self, tenant: &TenantId) -> Result<Arc<Bounds>, StoreError> {
        // When the reading began, not when it ended: a slow read must not be remembered for longer.
        let now = self.now();
        if let Some(bounds) = self.remembered.bounds.get(tenant, now) {
            return Ok(bounds);
        }
        Ok(self.remembered.bounds.put(tenant.clone(), self.stored_bounds(tenant).await?, now))
    }

    /// The same as of now.
    pub(crate) async fn stored_bounds(&self, tenant: &TenantId) -> Result<Bounds, StoreError> {
        let stored = self.table.get(&keys::bounds(tenant)).await?.map(from_item).transpose()?;
        Ok(stored.unwrap_or_default())
    }

    /// Replaces what bounds a tenant's spending.
    pub(crate) async fn put_bounds(&self, tenant: &TenantId, bounds: &Bounds) -> Result<(), StoreError> {
        let write = Write::Put { key: keys::bounds(tenant), item: to_item(bounds)?, only_if: Vec::new() };
        self.table.write(write).await?;
        self.remembered.bounds.forget(tenant);
        Ok(())
    }

    /// A tenant's credits, as of now.
    pub(crate) async fn stored_credits(&self, tenant: &TenantId) -> Result<Option<Credits>, StoreError> {
        self.table.get(&keys::credits(tenant)).await?.map(from_item).transpose()
    }

    /// Replaces a tenant's credits.
    pub(crate) async fn put_credits(&self, tenant: &TenantId, credits: &Credits) -> Result<(), StoreError> {
        let write = Write::Put { key: keys::credits(tenant), item: to_item(credits)?, only_if: Vec::new() };
        self.table.write(write).await?;
        self.remembered.out_of_credits.forget(tenant);
        Ok(())
    }

    /// Takes from a balance what `take` says of it. Answers the balance that it was taken from; none when there is none.
    pub(crate) async fn take_credits(
        &self,
        tenant: &TenantId,
        take: impl Fn(i64) -> i64,
    ) -> Result<Option<i64>, StoreError> {
        let key = keys::credits(tenant);
        let mut found = self.table.get(&key).await?;
        for _ in 0..REPEATS {
            let Some(item) = found else { return Ok(None) };
            let balance = from_item::<Credits>(item)?.balance;
            let taken = take(balance);
            if taken == 0 {
                return Ok(Some(balance));
            }
            let write = Write::Update {
                key: key.clone(),
                set: Vec::new(),
                add: vec![(BALANCE.to_owned(), -taken)],
                remove: Vec::new(),
                only_if: vec![Check::Equals(BALANCE, balance.into())],
            };
            match self.table.write(write).await {
                Ok(_) => return Ok(Some(balance)),
                // Our own write, repeated below, looks the same: then credits are taken twice, never given twice.
                Err(StoreError::Conflict(now)) => found = now,
                Err(error) => return Err(error),
            }
            let mut dice = [0; 4];
            self.entropy.fill(&mut dice);
            let wait_ms = (REPEAT_MS * u64::from(u32::from_be_bytes(dice))) >> 32;
            self.clock.sleep(std::time::Duration::from_millis(wait_ms)).await;
        }
        Err(StoreError::Unavailable("too many take credits of one tenant at once".to_owned()))
    }

    /// Gives back what was taken and not used.
    pub(crate) async fn return_credits(&self, tenant: &TenantId, unused: i64) -> Result<(), StoreError> {
        let write = Write::Update {
            key: keys::credits(tenant),
            set: Vec::new(),
            add: vec![(BALANCE.to_owned(), unused)],
            remove: Vec::new(),
            only_if: vec![Check::Present],
        };
        match self.table.write(write).await {
            // Somebody took the credits away altogether.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

const BALANCE: &str = "balance";
