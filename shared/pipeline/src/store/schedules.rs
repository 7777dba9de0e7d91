//! Schedules: what a tenant has put, and how far each has come. A put and a run write different attributes of the item, so
//! neither undoes the other.

use carillon_domain::{Schedule, ScheduleName, Sweep, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{from_item, keys, name_of, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Item, Key, StoreError, Write};

/// How far a schedule has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// When it ran last, to its end.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub last_run_at: Option<Timestamp>,
    /// Up to when its work is done.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub watermark_at: Option<Timestamp>,
}

/// A tenant's schedule as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSchedule {
    /// What was put.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// When it was put: runs are missed only since then.
    #[serde(with = "ms")]
    pub put_at: Timestamp,
    /// How far it has come.
    #[serde(flatten)]
    pub progress: Progress,
}

/// What a put writes.
#[derive(Serialize)]
struct Put<'a> {
    #[serde(flatten)]
    schedule: &'a Schedule,
    #[serde(with = "ms")]
    put_at: Timestamp,
}

impl Pipeline {
    /// A tenant's schedule.
    pub(crate) async fn schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
    ) -> Result<Option<StoredSchedule>, StoreError> {
        self.table.get(&keys::schedule(tenant, name)).await?.map(from_item).transpose()
    }

    /// A tenant's schedules by name; there are few.
    pub(crate) async fn schedules_of(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(ScheduleName, StoredSchedule)>, StoreError> {
        let page = self.table.query(&keys::partition(keys::schedules(tenant), 1_000, None)).await?;
        let read = page.items.into_iter().map(|(key, item)| Ok((name_of(key.sk())?, from_item(item)?)));
        read.collect()
    }

    /// Stores a schedule; how far it has come stays.
    pub(crate) async fn put_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        schedule: &Schedule,
    ) -> Result<(), StoreError> {
        let set = to_item(&Put { schedule, put_at: self.now() })?;
        let optional = ["classes", "time_zone"].map(str::to_owned);
        let remove = optional.into_iter().filter(|name| !set.contains_key(name)).collect();
        let set = set.into_iter().collect();
        let key = keys::schedule(tenant, name);
        self.table.write(Write::Update { key, set, add: Vec::new(), remove, only_if: Vec::new() }).await?;
        Ok(())
    }

    /// Removes a schedule. Answers whether there was one.
    pub(crate) async fn delete_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
    ) -> Result<bool, StoreError> {
        let write = Write::Delete { key: keys::schedule(tenant, name), only_if: vec![Check::Present] };
        match self.table.write(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How far the deployment's own schedule of a sweep has come.
    pub(crate) async fn deployment_progress(&self, sweep: Sweep) -> Result<Progress, StoreError> {
        let stored = self.table.get(&keys::lookups::deployment_run(sweep)).await?;
        Ok(stored.map(from_item).transpose()?.unwrap_or_default())
    }

    /// Notes that a tenant's schedule ran.
    pub(crate) async fn note_run(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        before: Progress,
        after: Progress,
    ) -> Result<(), StoreError> {
        // A schedule that was deleted meanwhile must not come back as an item without a sweep.
        let only_if = vec![Check::Present];
        self.move_progress(keys::schedule(tenant, name), before, after, only_if).await
    }

    /// Notes that the deployment's own schedule of a sweep ran.
    pub(crate) async fn note_deployment_run(
        &self,
        sweep: Sweep,
        before: Progress,
        after: Progress,
    ) -> Result<(), StoreError> {
        self.move_progress(keys::lookups::deployment_run(sweep), before, after, Vec::new()).await
    }

    /// Moves what is noted forward, from what was read: of two runs that overlap the first one notes, and the other has
    /// done nothing that is lost.
    async fn move_progress(
        &self,
        key: Key,
        before: Progress,
        after: Progress,
        mut only_if: Vec<Check>,
    ) -> Result<(), StoreError> {
        let name = "last_run_at";
        only_if.push(match before.last_run_at {
            Some(at) => Check::Equals(name, Value::from(at.as_millisecond())),
            None => Check::Missing(name),
        });
        let later = |a: Option<Timestamp>, b: Option<Timestamp>| a.max(b);
        let moved = Progress {
            last_run_at: later(before.last_run_at, after.last_run_at),
            watermark_at: later(before.watermark_at, after.watermark_at),
        };
        let set: Item = to_item(&moved)?;
        let write = Write::Update {
            key,
            set: set.into_iter().collect(),
            add: Vec::new(),
            remove: Vec::new(),
            only_if,
        };
        match self.table.write(write).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
