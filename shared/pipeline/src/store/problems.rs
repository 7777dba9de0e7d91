//! Problems: what is wrong, was wrong and who was told of it; one item each, and a mark for each that is open or of which
//! somebody has still to be told. Also the readings that checks compare with, and who looks after a tenant.

use std::collections::BTreeMap;

use carillon_domain::health::{Check as HealthCheck, Reading, Severity};
use carillon_domain::{Channel, RecipientId, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};

use super::{from_item, keys, name_of, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Item, Query, StoreError, TransactError, Write};

/// How many marks and admins are read at once.
const AT_ONCE: usize = 1_000;

/// How many changes a problem keeps; its end is always among them.
const HISTORY: usize = 50;

/// What happened to a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It was found, or reported.
    Opened,
    /// It became worse than it ever was.
    Worsened,
    /// It became less bad, or as bad as it had been.
    Changed,
    /// It is over.
    Resolved,
}

/// One thing that happened to a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemChange {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Turn,
    /// How bad it was then.
    pub severity: Severity,
    /// In words.
    pub text: String,
}

/// A problem of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredProblem {
    /// Its id; ids sort by the time at which problems were opened.
    pub id: String,
    /// What there is one open problem for.
    pub key: String,
    /// Which check found it; none when somebody reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<HealthCheck>,
    /// The channel that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// In words, as of now.
    pub title: String,
    /// What its reporter added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// How bad it ever was.
    pub worst: Severity,
    /// The figure, as of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
    /// Channels that cannot carry a notice of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Channel>,
    /// When it was opened.
    #[serde(with = "ms")]
    pub opened_at: Timestamp,
    /// When it last changed.
    #[serde(with = "ms")]
    pub changed_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub resolved_at: Option<Timestamp>,
    /// The id of the key that ended it; none when it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// What happened to it, in order.
    pub history: Vec<ProblemChange>,
    /// How many of these changes have been told, or need not be.
    pub told: usize,
    /// Counts the writes: each says which one it follows.
    pub rev: u32,
}

impl StoredProblem {
    /// A problem that is opened now.
    #[must_use]
    pub fn opened(key: String, title: String, severity: Severity, now: Timestamp) -> Self {
        let mut problem = Self {
            id: format!("{:013}-{key}", now.as_millisecond()),
            key,
            check: None,
            channel: None,
            title,
            detail: None,
            severity,
            worst: severity,
            value: None,
            threshold: None,
            broken: Vec::new(),
            opened_at: now,
            changed_at: now,
            resolved_at: None,
            resolved_by: None,
            history: Vec::new(),
            told: 0,
            rev: 1,
        };
        problem.turn(Turn::Opened, now);
        problem
    }

    /// Notes that something happened to it. What only changes back and forth is not kept without end.
    pub fn turn(&mut self, what: Turn, at: Timestamp) {
        if self.history.len() < HISTORY || what == Turn::Resolved {
            let (severity, text) = (self.severity, self.title.clone());
            self.history.push(ProblemChange { at, what, severity, text });
        }
        self.changed_at = at;
    }
}

#[derive(Serialize, Deserialize)]
struct Mark {
    id: String,
}

#[derive(Serialize, Deserialize)]
struct Readings {
    readings: Vec<Reading>,
}

impl Pipeline {
    /// The problems of a tenant that are open, or of which somebody has still to be told, by what there is one for.
    pub(crate) async fn marked_problems(
        &self,
        tenant: &TenantId,
    ) -> Result<BTreeMap<String, StoredProblem>, StoreError> {
        let query = keys::partition(keys::open_problems(tenant), AT_ONCE, None);
        let page = self.table.query(&query).await?;
        let marks = page.items.into_iter().map(|(_, item)| from_item::<Mark>(item));
        let marks: Vec<Mark> = marks.collect::<Result<_, _>>()?;
        let wanted: Vec<_> = marks.iter().map(|mark| keys::problem(tenant, &mark.id)).collect();
        let items = self.get_many_surely(&wanted).await?.into_iter().flatten();
        let problems = items.map(from_item::<StoredProblem>);
        problems.map(|problem| problem.map(|problem| (problem.key.clone(), problem))).collect()
    }

    /// Stores a new problem. Answers whether it is: somebody else may have opened one for the same at the same time.
    pub(crate) async fn open_problem(
        &self,
        tenant: &TenantId,
        problem: &StoredProblem,
    ) -> Result<bool, StoreError> {
        let mark = to_item(&Mark { id: problem.id.clone() })?;
        let only_if = vec![Check::Absent];
        let writes = vec![
            Write::Put {
                key: keys::open_problem(tenant, &problem.key),
                item: mark,
                only_if: only_if.clone(),
            },
            Write::Put { key: keys::problem(tenant, &problem.id), item: to_item(problem)?, only_if },
        ];
        match self.table.transact(writes).await {
            Ok(()) => Ok(true),
            Err(TransactError::Conflict { .. }) => Ok(false),
            Err(TransactError::Store(error)) => Err(error),
        }
    }

    /// Stores what became of a problem. Answers whether it is stored: somebody else may have changed it since it was read.
    pub(crate) async fn save_problem(
        &self,
        tenant: &TenantId,
        problem: &mut StoredProblem,
    ) -> Result<bool, StoreError> {
        let follows = problem.rev;
        problem.rev += 1;
        let only_if = vec![Check::Equals("rev", follows.into())];
        let item: Item = to_item(problem)?;
        let write = Write::Put { key: keys::problem(tenant, &problem.id), item: item.clone(), only_if };
        match self.table.write(write).await {
            Ok(_) => Ok(true),
            // Our own write, which the client library repeated because its answer was lost.
            Err(StoreError::Conflict(Some(found))) if found == item => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets that there is an open problem for something.
    pub(crate) async fn unmark_problem(
        &self,
        tenant: &TenantId,
        problem: &StoredProblem,
    ) -> Result<(), StoreError> {
        let only_if = vec![Check::Equals("id", problem.id.as_str().into())];
        match self.table.write(Write::Delete { key: keys::open_problem(tenant, &problem.key), only_if }).await
        {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A problem, as of now.
    pub(crate) async fn stored_problem(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<StoredProblem>, StoreError> {
        self.table.get(&keys::problem(tenant, id)).await?.map(from_item).transpose()
    }

    /// A page of a tenant's problems, the newest first, and where the next begins.
    pub(crate) async fn problems(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<StoredProblem>, Option<String>), StoreError> {
        let query = Query { descending: true, ..keys::partition(keys::problems(tenant), limit, after) };
        let page = self.table.query(&query).await?;
        let problems = page.items.into_iter().map(|(_, item)| from_item(item));
        Ok((problems.collect::<Result<_, _>>()?, page.next))
    }

    /// What the counters said before, the oldest first.
    pub(crate) async fn health_readings(&self, tenant: &TenantId) -> Result<Vec<Reading>, StoreError> {
        let stored = self.table.get(&keys::health(tenant)).await?.map(from_item::<Readings>).transpose()?;
        Ok(stored.map(|stored| stored.readings).unwrap_or_default())
    }

    /// Keeps what the counters said.
    pub(crate) async fn put_health_readings(
        &self,
        tenant: &TenantId,
        readings: Vec<Reading>,
    ) -> Result<(), StoreError> {
        let item = to_item(&Readings { readings })?;
        self.table.write(Write::Put { key: keys::health(tenant), item, only_if: Vec::new() }).await.map(drop)
    }

    /// Who looks after a tenant: the recipients with that role.
    pub(crate) async fn admins(&self, tenant: &TenantId) -> Result<Vec<RecipientId>, StoreError> {
        let page = self.table.query(&keys::partition(keys::admins(tenant), AT_ONCE, None)).await?;
        page.items.iter().map(|(key, _)| name_of(key.sk())).collect()
    }
}

/// What keeps the list of those who look after a tenant, when a recipient changes.
pub(super) fn admin_write(tenant: &TenantId, id: &RecipientId, was: bool, is: bool) -> Option<Write> {
    let key = keys::admin(tenant, id);
    match (was, is) {
        (false, true) => Some(Write::Put { key, item: Item::new(), only_if: Vec::new() }),
        (true, false) => Some(Write::Delete { key, only_if: Vec::new() }),
        _ => None,
    }
}
