//! Tells a tenant that messages could not be sent: one event of the type `message.send_failed` for a burst, at most one in
//! a quarter of an hour. Reads the index of failures, the deliveries in it and the tenant's last notice; accepts the event
//! like any producer's. What fails of such an event is in no index, so that telling never tells of itself.

use std::collections::{BTreeMap, BTreeSet};

use carillon_domain::{
    Delivery, DeliveryId, EventId, KeyKind, Principal, ProblemKind, Scope, StateKind, TenantId, Timestamp,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::StoreError;
use crate::store::dead_letters::DeadLetter;
use crate::store::failures::{Failure, FailureNotice, SEND_FAILED};
use crate::store::keys::FAILURE_SHARDS;

/// How long a tenant is left alone after it was told.
const APART: SignedDuration = SignedDuration::from_mins(15);

/// How far back is looked: longer than a failure waits to be told of.
const BACK: SignedDuration = SignedDuration::from_mins(30);

/// A burst is over when nothing has failed for so long. Also longer than the index may lag.
const QUIET: SignedDuration = SignedDuration::from_secs(5);

/// A burst that does not end is told of after so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(45);

/// How often it is written down how far was looked.
const MARK_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Of so many failures the reasons are read; the others are counted.
const READ: usize = 2_000;

/// How many deliveries a notice names.
const NAMED: usize = 5;

/// Who says it.
pub(crate) const SOURCE: &str = "carillon";

/// The failures of one tenant that it has not been told of. Bounded, however many there are.
#[derive(Debug, PartialEq, Eq)]
struct Untold {
    before: Option<FailureNotice>,
    first_at: Timestamp,
    last_at: Timestamp,
    /// How many deliveries beyond those that are named here.
    more: usize,
    deliveries: Vec<DeliveryId>,
    dead_letters: Vec<String>,
}

impl Untold {
    fn after(before: Option<FailureNotice>) -> Self {
        let (first_at, last_at) = (Timestamp::MAX, Timestamp::MIN);
        Self { before, first_at, last_at, more: 0, deliveries: Vec::new(), dead_letters: Vec::new() }
    }

    fn add(&mut self, failure: Failure) {
        if self.before.as_ref().is_some_and(|told| failure.at <= told.told_until) {
            return;
        }
        self.first_at = self.first_at.min(failure.at);
        self.last_at = self.last_at.max(failure.at);
        match failure.id.parse() {
            Ok(delivery) if self.deliveries.len() < READ => self.deliveries.push(delivery),
            Err(_) if self.dead_letters.len() < READ => self.dead_letters.push(failure.id),
            _ => self.more += 1,
        }
    }

    fn is_empty(&self) -> bool {
        self.first_at == Timestamp::MAX
    }

    /// When it is told.
    fn due_at(&self) -> Timestamp {
        let burst = plus(self.last_at, QUIET).min(plus(self.first_at, PATIENCE));
        self.before.as_ref().map_or(burst, |notice| burst.max(plus(notice.told_at, APART)))
    }
}

impl Pipeline {
    /// Tells every tenant whose failures are due to be told of. Answers how many were told.
    ///
    /// # Errors
    /// When the index cannot be read. What goes wrong for one tenant is left for the next run.
    pub async fn tell_of_failures(&self) -> Result<u32, StoreError> {
        let now = self.now();
        let looked_at = self.failures_looked_at().await?;
        let mut told = 0;
        for (tenant, untold) in self.untold(looked_at).await? {
            if untold.due_at() > now {
                continue;
            }
            match self.tell(&tenant, &untold).await {
                Ok(true) => told += 1,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, error = %error, "telling of failures is left for the next run");
                }
            }
        }
        if looked_at.is_none_or(|at| plus(at, MARK_EVERY) <= now) {
            self.put_failures_looked_at(now).await?;
        }
        Ok(told)
    }

    /// When the next tenant is to be told; it may be overdue.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn next_failure_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        let untold = self.untold(self.failures_looked_at().await?).await?;
        Ok(untold.values().map(Untold::due_at).min())
    }

    /// The failures that tenants have not been told of, of those that have a route for it.
    async fn untold(&self, looked_at: Option<Timestamp>) -> Result<BTreeMap<TenantId, Untold>, StoreError> {
        let now = self.now();
        let from = plus(looked_at.map_or(now, |at| at.min(now)), -BACK);
        let mut untold: BTreeMap<TenantId, Option<Untold>> = BTreeMap::new();
        for shard in 0..FAILURE_SHARDS {
            let mut after = None;
            loop {
                let (page, next) = self.failures(shard, from, after).await?;
                for failure in page {
                    if !untold.contains_key(&failure.tenant) {
                        untold.insert(failure.tenant.clone(), self.nothing_told(&failure.tenant).await?);
                    }
                    if let Some(Some(of_tenant)) = untold.get_mut(&failure.tenant) {
                        of_tenant.add(failure);
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let untold = untold.into_iter().filter_map(|(tenant, untold)| Some((tenant, untold?)));
        Ok(untold.filter(|(_, untold)| !untold.is_empty()).collect())
    }

    /// Where a tenant's count begins; none when it has no route by which it could be told.
    async fn nothing_told(&self, tenant: &TenantId) -> Result<Option<Untold>, StoreError> {
        let Ok(event_type) = SEND_FAILED.parse() else { return Ok(None) };
        if self.route(tenant, &event_type).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Untold::after(self.failure_notice(tenant).await?)))
    }

    /// Tells one tenant. Answers whether there was anything to tell.
    async fn tell(&self, tenant: &TenantId, untold: &Untold) -> Result<bool, StoreError> {
        let now = self.now();
        // Named after the failure that was told of last: two sweeps, or one after a crash, make the same event.
        let since = untold.before.as_ref().map_or(0, |notice| notice.told_until.as_millisecond());
        let id = format!("send-failed-after-{since}");
        let key = format!("event {} {SOURCE} {id}", SOURCE.len());
        let earlier = self.event(tenant, &EventId::from_idempotency_key(tenant, &key)).await?;
        let (told_until, told_at) = if let Some(earlier) = earlier {
            let last_at = earlier.input.data.get("last_at").and_then(Value::as_str);
            (last_at.and_then(|at| at.parse().ok()).unwrap_or(earlier.accepted_at), now)
        } else {
            let digest = self.digest(tenant, untold).await?;
            let told = digest["count"] != 0;
            if told {
                let body = json!({"type": SEND_FAILED, "source": SOURCE, "id": id, "data": digest});
                self.accept_notice(tenant, body).await?;
            }
            let before = untold.before.as_ref().map_or(Timestamp::UNIX_EPOCH, |notice| notice.told_at);
            (untold.last_at, if told { now } else { before })
        };
        let notice = FailureNotice { told_until, told_at };
        self.put_failure_notice(tenant, untold.before.as_ref(), &notice).await?;
        Ok(told_at == now)
    }

    /// A route that cannot tell anybody is not tried again with the same failures: the log has them.
    async fn accept_notice(&self, tenant: &TenantId, body: Value) -> Result<(), StoreError> {
        let count = body["data"]["count"].clone();
        match self.accept(&ourselves(tenant), body, None).await {
            Ok(accepted) => {
                tracing::warn!(
                    tenant.id = %tenant,
                    event.id = %accepted.event_id,
                    failures.count = %count,
                    "the tenant is told of failures"
                );
                Ok(())
            }
            Err(problem) if problem.kind == ProblemKind::Unavailable => {
                Err(StoreError::Unavailable(problem.detail))
            }
            Err(problem) => {
                tracing::error!(tenant.id = %tenant, failures.count = %count, problem = %problem.detail, "nobody could be told of failures");
                Ok(())
            }
        }
    }

    /// What a notice says.
    async fn digest(&self, tenant: &TenantId, untold: &Untold) -> Result<Value, StoreError> {
        let mut failed = self.deliveries(tenant, &untold.deliveries).await?;
        // Somebody may have taken it back since.
        failed.retain(|delivery| delivery.state.kind() == StateKind::Failed);
        let letters = self.dead_letters_by_id(tenant, &untold.dead_letters, false).await?;
        Ok(said(untold, &failed, &letters))
    }
}

fn said(untold: &Untold, failed: &[Delivery], letters: &[DeadLetter]) -> Value {
    let mut by_reason: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_channel: BTreeMap<&str, usize> = BTreeMap::new();
    let mut event_types = BTreeSet::new();
    for delivery in failed {
        *by_reason.entry(delivery.state.reason().unwrap_or_default()).or_default() += 1;
        *by_channel.entry(delivery.channel.as_str()).or_default() += 1;
        event_types.insert(delivery.event_type.as_str());
    }
    for letter in letters {
        *by_reason.entry(format!("dead_letter:{}", letter.queue.as_str())).or_default() += 1;
    }
    if untold.more > 0 {
        by_reason.insert("others".to_owned(), untold.more);
    }
    let named: Vec<&DeliveryId> = failed.iter().take(NAMED).map(|delivery| &delivery.id).collect();
    json!({
        "count": failed.len() + letters.len() + untold.more,
        "first_at": untold.first_at,
        "last_at": untold.last_at,
        "by_reason": by_reason,
        "by_channel": by_channel,
        "delivery_ids": named,
        "event_types": event_types,
    })
}

/// Who the notice comes from: nobody's key.
pub(crate) fn ourselves(tenant: &TenantId) -> Principal {
    Principal {
        tenant: tenant.clone(),
        key_id: SOURCE.to_owned(),
        key_kind: KeyKind::Live,
        scopes: vec![Scope::EventsWrite],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn untold(told_at: Option<i64>, failed_at: &[i64]) -> Untold {
        let tenant: TenantId = "acme".parse().unwrap();
        let before = told_at.map(|second| FailureNotice { told_until: at(second), told_at: at(second) });
        let mut untold = Untold::after(before);
        for second in failed_at {
            untold.add(Failure { at: at(*second), tenant: tenant.clone(), id: "x".to_owned() });
        }
        untold
    }

    #[test]
    fn a_burst_is_told_when_it_is_over_or_has_lasted_long_and_no_sooner_than_the_last_notice_allows() {
        assert_eq!(untold(None, &[100]).due_at(), at(105));
        assert_eq!(untold(None, &[100, 103, 107]).due_at(), at(112));
        assert_eq!(untold(None, &[100, 150]).due_at(), at(145));
        assert_eq!(untold(Some(50), &[100]).due_at(), at(50 + 900));
        assert_eq!(untold(Some(50), &[2_000]).due_at(), at(2_005));
    }

    #[test]
    fn what_was_told_is_not_counted_again_and_what_is_not_read_is_counted() {
        assert!(untold(Some(50), &[40, 50]).is_empty());
        let many: Vec<i64> = (0..3_000).collect();
        let untold = untold(None, &many);
        assert_eq!((untold.dead_letters.len(), untold.more), (READ, 3_000 - READ));
        assert_eq!(said(&untold, &[], &[])["count"], 1_000);
    }
}
