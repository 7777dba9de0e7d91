//! Up to when each lane of a tenant's reminders is planned. A run of sweep-reminders says it before it looks, so that
//! whoever puts a deadline afterwards plans as far as the run did.

use carillon_domain::{Lane, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{from_item, keys, name_of, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, Write};

/// A tenant has few: those of its policies' classes.
const MOST_LANES: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PlannedLane {
    #[serde(with = "ms")]
    until: Timestamp,
}

impl Pipeline {
    /// Every lane that a policy of the tenant ever had.
    pub(crate) async fn lanes(&self, tenant: &TenantId) -> Result<Vec<Lane>, StoreError> {
        let query = keys::partition(keys::deadlines::lanes(tenant), MOST_LANES, None);
        let page = self.table.query(&query).await?;
        page.items.iter().map(|(key, _)| name_of(key.sk())).collect()
    }

    /// Makes lanes that there are not, planned up to no instant.
    pub(crate) async fn add_lanes(
        &self,
        tenant: &TenantId,
        lanes: impl IntoIterator<Item = Lane>,
    ) -> Result<(), StoreError> {
        for lane in lanes {
            let item = to_item(&PlannedLane { until: Timestamp::UNIX_EPOCH })?;
            let key = keys::deadlines::lane(tenant, &lane);
            match self.table.write(Write::Put { key, item, only_if: vec![Check::Absent] }).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Up to when a lane is planned, as of now.
    pub(crate) async fn lane_planned_until(
        &self,
        tenant: &TenantId,
        lane: &Lane,
    ) -> Result<Timestamp, StoreError> {
        let lane: Option<PlannedLane> =
            self.table.get(&keys::deadlines::lane(tenant, lane)).await?.map(from_item).transpose()?;
        Ok(lane.map_or(Timestamp::UNIX_EPOCH, |lane| lane.until))
    }

    /// Notes that a lane is about to be planned up to an instant, unless it is planned further. Answers up to when it is.
    pub(crate) async fn note_lane_planned(
        &self,
        tenant: &TenantId,
        lane: &Lane,
        until: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let key = keys::deadlines::lane(tenant, lane);
        loop {
            let stored: Option<PlannedLane> = self.table.get(&key).await?.map(from_item).transpose()?;
            if let Some(stored) = stored.filter(|stored| stored.until >= until) {
                return Ok(stored.until);
            }
            let only_if = match stored {
                None => Check::Absent,
                Some(stored) => Check::Equals("until", json!(stored.until.as_millisecond())),
            };
            let item = to_item(&PlannedLane { until })?;
            match self.table.write(Write::Put { key: key.clone(), item, only_if: vec![only_if] }).await {
                Ok(_) => return Ok(until),
                // Another run said how far it goes: of the two the further counts.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
