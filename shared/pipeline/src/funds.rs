//! What a tenant may still spend. Where credits or a budget are used up, what is not critical waits: planning
//! (`plan.rs`) and sweep-due ask here, and so does each batch of calls, which takes its credits first and gives back what it
//! did not use. A tenant without credits and budgets costs a remembered read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use carillon_domain::budget::{Budget, Spent};
use carillon_domain::counters::{Place, day_of};
use carillon_domain::credits::CreditUnit;
use carillon_domain::{Category, Channel, HeldReason, TenantId};

use crate::context::Pipeline;
use crate::cost;
use crate::deliver::plus;
use crate::last_look::Look;
use crate::ports::StoreError;
use crate::switches::LOOK_AGAIN_AT_SWITCH;
use crate::work::DeliveryWork;

/// What a tenant cannot spend any more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Funds {
    /// It has credits, and they are used up.
    pub out_of_credits: bool,
    /// The budgets that are used up.
    pub used_up: Vec<Budget>,
}

impl Funds {
    /// Why something has to wait; none when it may be sent.
    #[must_use]
    pub fn hold(&self, what: Spent<'_>) -> Option<HeldReason> {
        if is_free(what.channel, what.category) {
            return None;
        }
        if self.out_of_credits {
            return Some(HeldReason::Credits);
        }
        self.used_up.iter().any(|budget| budget.covers(what)).then_some(HeldReason::Budget)
    }
}

/// What neither credits nor budgets keep back: the feed costs nothing, and what is critical does not ask.
fn is_free(channel: Channel, category: Category) -> bool {
    channel == Channel::InApp || category == Category::Critical
}

/// Credits that a batch of calls has taken, by tenant: what is left is given back.
#[derive(Debug, Default)]
pub(crate) struct Purse(Mutex<BTreeMap<TenantId, (CreditUnit, i64)>>);

impl Purse {
    /// A message was accepted, or may have been.
    pub(crate) fn spend(&self, work: &DeliveryWork, price_micros: Option<i64>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((unit, left)) = held.get_mut(&work.tenant) {
            *left -= match unit {
                CreditUnit::Messages => 1,
                CreditUnit::Money => price_micros.unwrap_or(0),
            };
        }
    }
}

impl Pipeline {
    /// What a tenant cannot spend any more, a moment old.
    pub(crate) async fn funds(&self, tenant: &TenantId) -> Result<Funds, StoreError> {
        let bounds = self.bounds(tenant).await?;
        Ok(Funds {
            out_of_credits: bounds.credits.is_some() && self.out_of_credits(tenant).await?,
            used_up: self.used_up(tenant, &bounds.budgets).await?,
        })
    }

    async fn out_of_credits(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        let now = self.now();
        if let Some(known) = self.remembered.out_of_credits.get(tenant, now) {
            return Ok(*known);
        }
        let out = self.stored_credits(tenant).await?.is_some_and(|credits| credits.balance <= 0);
        Ok(*self.remembered.out_of_credits.put(tenant.clone(), out, now))
    }

    /// The budgets of which nothing is left. What was spent is read from the counters, so it is a minute or so old.
    async fn used_up(&self, tenant: &TenantId, budgets: &[Budget]) -> Result<Vec<Budget>, StoreError> {
        let now = self.now();
        let Some(first) = budgets.iter().map(|budget| budget.period.first_day(now)).min() else {
            return Ok(Vec::new());
        };
        let spent = match self.remembered.spent.get(tenant, now) {
            Some(spent) if spent.first_day <= first => spent,
            _ => {
                let counters = self.counters(tenant, (first, day_of(now))).await?;
                let costs = counters.iter().map(|(place, counts)| (place.clone(), counts.get("cost")));
                let costs = costs.filter(|(_, micros)| *micros != 0).collect();
                self.remembered.spent.put(tenant.clone(), SpentSince { first_day: first, costs }, now)
            }
        };
        let is_used_up = |budget: &&Budget| {
            let since = budget.period.first_day(now);
            let counts = |(place, _): &&(Place, i64)| place.day >= since && budget.covers(place.into());
            spent.costs.iter().filter(counts).map(|(_, micros)| micros).sum::<i64>() >= budget.amount_micros
        };
        Ok(budgets.iter().filter(is_used_up).cloned().collect())
    }

    /// Takes the credits of a batch that is about to be sent, in one write for each tenant that has credits. What finds
    /// none, or whose budget is used up, is held instead.
    pub(crate) async fn fund(
        &self,
        batch: &[DeliveryWork],
        looks: &mut [Result<Look, StoreError>],
    ) -> Result<Purse, StoreError> {
        let mut purse = BTreeMap::new();
        let mut tenants: Vec<&TenantId> = batch.iter().map(|work| &work.tenant).collect();
        tenants.sort();
        tenants.dedup();
        let held = |reason| Ok(Look::Hold(reason, Some(plus(self.now(), LOOK_AGAIN_AT_SWITCH))));
        for tenant in tenants {
            let bounds = self.bounds(tenant).await?;
            let used_up = self.used_up(tenant, &bounds.budgets).await?;
            let funds = Funds { out_of_credits: false, used_up };
            // Who asks for credits, what for, and whether it is sent without.
            let mut asking: Vec<(usize, i64, bool)> = Vec::new();
            for (at, work) in batch.iter().enumerate().filter(|(_, work)| work.tenant == *tenant) {
                if !matches!(looks[at], Ok(Look::Send(_))) {
                    continue;
                }
                if let Some(reason) = funds.hold((&work.delivery).into()) {
                    looks[at] = held(reason);
                    continue;
                }
                let asked = match bounds.credits {
                    None => continue,
                    Some(CreditUnit::Messages) => 1,
                    Some(CreditUnit::Money) => {
                        cost::expected_micros(&work.delivery, &work.to, &work.message, self.now())
                            .unwrap_or(0)
                    }
                };
                asking.push((at, asked, is_free(work.delivery.channel, work.delivery.category)));
            }
            let Some(unit) = bounds.credits.filter(|_| !asking.is_empty()) else { continue };
            let Some(balance) = self.take_credits(tenant, |balance| granted(balance, &asking).0).await?
            else {
                continue;
            };
            let (taken, without) = granted(balance, &asking);
            for at in without {
                looks[at] = held(HeldReason::Credits);
            }
            purse.insert(tenant.clone(), (unit, taken));
        }
        Ok(Purse(Mutex::new(purse)))
    }

    /// Gives back what a batch has not used.
    pub(crate) async fn return_purse(&self, purse: Purse) {
        let left = purse.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (tenant, (_, unused)) in left.into_iter().filter(|(_, (_, unused))| *unused > 0) {
            if let Err(error) = self.return_credits(&tenant, unused).await {
                tracing::warn!(tenant.id = %tenant, credits.unused = unused, error = %error, "credits could not be given back");
            }
        }
    }
}

/// What is taken from a balance for those who ask, in their order, and who gets nothing. A balance that is above 0 pays for
/// one more, however dear; what does not have to ask takes all the same.
fn granted(balance: i64, asking: &[(usize, i64, bool)]) -> (i64, Vec<usize>) {
    let (mut taken, mut without) = (0, Vec::new());
    for (at, asked, is_free) in asking {
        if balance - taken > 0 || *is_free {
            taken += asked;
        } else {
            without.push(*at);
        }
    }
    (taken, without)
}

/// What was spent since a day, by place.
#[derive(Debug)]
pub(crate) struct SpentSince {
    first_day: i64,
    costs: Vec<(Place, i64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_are_taken_in_order_until_none_are_left() {
        let asking = [(0, 1, false), (1, 1, false), (2, 1, true), (3, 1, false)];
        assert_eq!(granted(10, &asking), (4, vec![]));
        assert_eq!(granted(2, &asking), (3, vec![3]));
        assert_eq!(granted(0, &asking), (1, vec![0, 1, 3]));
        assert_eq!(granted(1_000, &[(0, 25_000, false), (1, 160, false)]), (25_000, vec![1]));
    }

    #[test]
    fn the_feed_and_what_is_critical_never_wait_for_money() {
        let order = "order".parse().unwrap();
        let what = |channel, category| Spent { channel, category, event_type: &order, template: None };
        let funds = Funds { out_of_credits: true, used_up: Vec::new() };
        assert_eq!(funds.hold(what(Channel::Email, Category::Reminder)), Some(HeldReason::Credits));
        assert_eq!(funds.hold(what(Channel::InApp, Category::Reminder)), None);
        assert_eq!(funds.hold(what(Channel::Email, Category::Critical)), None);
        assert_eq!(Funds::default().hold(what(Channel::Email, Category::Reminder)), None);
    }
}
