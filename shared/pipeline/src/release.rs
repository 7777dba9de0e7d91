//! Lets go what a kill switch held, or what credits or a budget did, and ends what one now drops that waits for no time; a page of the tenant's log at a
//! time: each delivery takes the way that sweep-due would take with it, with today's consent and today's switches.
//! [`crate::switches`] starts it as a job when a stop is lifted or begins to drop.

use carillon_domain::{Delivery, DeliveryId, HeldReason, Progress, State, SwitchMode, TenantId, Timestamp};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::due::{Swept, Wait};
use crate::funds::Funds;
use crate::jobs::{JobStep, StepError};
use crate::ports::{Index, Query};
use crate::store::keys;
use crate::store::switches::Switches;
use crate::switches::OBEYED_AFTER;

/// After so many entries of the log a step ends.
const PAGE: usize = 200;

/// How many deliveries are let go side by side.
const SIDE_BY_SIDE: usize = 20;

/// The partitions of the log that are looked through: those of tomorrow, today, and as many days before as a delivery
/// usually lives. What lives longer is found by the sweep.
const PARTITIONS: i64 = 5 * keys::DAY_SHARDS as i64;

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Releasing {
    /// The next partition of the log, counted through days and shards.
    at: i64,
    /// The last entry of it that was looked at.
    after: Option<String>,
    seen: u64,
    released: u64,
    ended: u64,
}

impl Pipeline {
    /// Looks at the next entries of the log. Done twice, it finds nothing held any more.
    pub(crate) async fn release_step(
        &self,
        tenant: &TenantId,
        lifted_at: Timestamp,
        mut so_far: Releasing,
    ) -> Result<JobStep<Releasing>, StepError> {
        // Until then somebody may still hold what comes, and what is let go would be held again.
        self.clock.sleep_until(plus(lifted_at, OBEYED_AFTER)).await;
        // A clock that is ahead of ours may have written into the next day.
        let newest = keys::day_of(lifted_at) + 1;
        let enough = so_far.seen + PAGE as u64;
        while so_far.at < PARTITIONS {
            if so_far.seen >= enough {
                let progress = Progress { done: so_far.seen, total: None };
                return Ok(JobStep::More { progress, checkpoint: so_far });
            }
            self.release_page(tenant, newest, &mut so_far).await?;
        }
        Ok(JobStep::Done(json!({"released": so_far.released, "ended": so_far.ended})))
    }

    async fn release_page(
        &self,
        tenant: &TenantId,
        newest: i64,
        so_far: &mut Releasing,
    ) -> Result<(), StepError> {
        let shard = u8::try_from(so_far.at % i64::from(keys::DAY_SHARDS)).unwrap_or_default();
        let day = newest - so_far.at / i64::from(keys::DAY_SHARDS);
        let partition = keys::day(tenant, keys::Logged::Deliveries, day, shard);
        let query = Query { index: Index::ByDay, ..keys::partition(partition, PAGE, so_far.after.take()) };
        let page = self.table.query(&query).await?;
        let ids: Vec<DeliveryId> = page.items.iter().filter_map(|(key, _)| keys::delivery_id(key)).collect();
        let stops = (self.switches(tenant).await?, self.funds(tenant).await?);
        let found = self.deliveries(tenant, &ids).await?.into_iter();
        let held: Vec<Delivery> = found.filter(|delivery| is_concerned(delivery, &stops)).collect();
        for some in held.chunks(SIDE_BY_SIDE) {
            let each = some.iter().map(|held| self.release_one(tenant, &held.id));
            for swept in try_join_all(each).await? {
                so_far.released += u64::from(swept.queued);
                so_far.ended += u64::from(swept.ended);
            }
        }
        so_far.seen += ids.len() as u64;
        so_far.after = page.next;
        so_far.at += i64::from(so_far.after.is_none());
        Ok(())
    }

    async fn release_one(&self, tenant: &TenantId, id: &DeliveryId) -> Result<Swept, StepError> {
        let stops = (self.switches(tenant).await?, self.funds(tenant).await?);
        let before = self.delivery(tenant, id).await?.filter(|delivery| is_concerned(delivery, &stops));
        let Some(before) = before else { return Ok(Swept::default()) };
        Box::pin(self.move_on(tenant, before, Wait::IsOver)).await.map_err(StepError::Again)
    }
}

/// Whether a switch holds a delivery, or would end one that waits for its reader to write: nobody else looks at that.
/// What waits for money goes when there is some.
fn is_concerned(delivery: &Delivery, (switches, funds): &(Switches, Funds)) -> bool {
    match delivery.state {
        State::Held(HeldReason::Credits | HeldReason::Budget) => funds.hold(delivery.into()).is_none(),
        State::Held(HeldReason::SwitchedOff) => true,
        State::Held(HeldReason::WindowClosed) => switches.stop(delivery.into()) == Some(SwitchMode::Drop),
        _ => false,
    }
}
