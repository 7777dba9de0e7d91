//! Who is a member of which group. The memberships of one group lie in [`keys::MEMBER_SHARDS`] partitions, so that
//! neither filling nor reading a large one is held to one partition's rate; [`Walk`] reads them as one list by id.
//! [`super::groups`] has the groups themselves; `audience.rs` and `parts.rs` read who is told.

use std::collections::{BTreeSet, VecDeque};

use carillon_domain::{GroupName, RecipientId, RecipientKey, TenantId};
use futures_util::future::try_join_all;

use super::{keys, name_of};
use crate::context::Pipeline;
use crate::ports::{Index, Item, Query, StoreError, Table, Write};

/// How many memberships are looked at a time where all of them are.
const PAGE: usize = 1_000;

impl Pipeline {
    /// A page of a group's members by id, and where the next begins.
    pub async fn members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<RecipientId>, Option<String>), StoreError> {
        let mut walk = self.walk_members(tenant, group, after.as_deref(), None, limit);
        let page = walk.next_page().await?;
        let next = if walk.has_more().await? { page.last().map(|id| id.as_str().to_owned()) } else { None };
        Ok((page, next))
    }

    /// Every member of a group, unless it has more than so many.
    pub(crate) async fn few_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        at_most: usize,
    ) -> Result<Option<Vec<RecipientId>>, StoreError> {
        let mut walk = self.walk_members(tenant, group, None, None, at_most);
        let all = walk.next_page().await?;
        Ok(if walk.has_more().await? { None } else { Some(all) })
    }

    /// A group's members above `after`, up to and with `to`, a page at a time.
    pub(crate) fn walk_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        after: Option<&str>,
        to: Option<&str>,
        page: usize,
    ) -> Walk<'_> {
        let shard = |shard| {
            let query = Query {
                // The least text above the last id.
                from: after.map(|id| format!("{id}\u{1}")),
                to: to.map(str::to_owned),
                ..keys::partition(keys::members(tenant, group, shard), share(page), None)
            };
            Shard { query, read: VecDeque::new(), ended: false }
        };
        Walk { table: self.table.as_ref(), page, shards: (0..keys::MEMBER_SHARDS).map(shard).collect() }
    }

    /// How many members a group has.
    pub async fn count_members(&self, tenant: &TenantId, group: &GroupName) -> Result<usize, StoreError> {
        let counts = (0..keys::MEMBER_SHARDS).map(async |shard| {
            let (mut count, mut after) = (0, None);
            loop {
                let query = keys::partition(keys::members(tenant, group, shard), PAGE, after);
                let page = self.table.query(&query).await?;
                count += page.items.len();
                after = page.next;
                if after.is_none() {
                    return Ok::<usize, StoreError>(count);
                }
            }
        });
        Ok(try_join_all(counts).await?.into_iter().sum())
    }

    /// Adds and removes members.
    pub async fn change_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        add: &[RecipientId],
        remove: &[RecipientId],
    ) -> Result<(), StoreError> {
        let put = |id| {
            let recipient = self.recipient_key(tenant, id);
            let item = member_item(tenant, &recipient, group);
            Write::Put { key: keys::member(tenant, group, &recipient, id), item, only_if: Vec::new() }
        };
        let delete = |id| {
            let key = keys::member(tenant, group, &self.recipient_key(tenant, id), id);
            Write::Delete { key, only_if: Vec::new() }
        };
        let writes = add.iter().map(put).chain(remove.iter().map(delete)).collect();
        self.table.write_each(writes).await.into_iter().try_for_each(|written| written.map(drop))
    }

    /// Makes these, and only these, the members of a group.
    pub async fn set_members(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        members: &[RecipientId],
    ) -> Result<(), StoreError> {
        self.change_members(tenant, group, members, &[]).await?;
        let wanted: BTreeSet<&RecipientId> = members.iter().collect();
        let mut walk = self.walk_members(tenant, group, None, None, PAGE);
        loop {
            let mut gone = walk.next_page().await?;
            if gone.is_empty() {
                return Ok(());
            }
            gone.retain(|id| !wanted.contains(id));
            self.change_members(tenant, group, &[], &gone).await?;
        }
    }

    /// Whether a recipient is a member of a group.
    pub async fn is_member(
        &self,
        tenant: &TenantId,
        group: &GroupName,
        id: &RecipientId,
    ) -> Result<bool, StoreError> {
        let key = keys::member(tenant, group, &self.recipient_key(tenant, id), id);
        Ok(self.table.get(&key).await?.is_some())
    }

    /// Takes a recipient out of every group.
    pub(crate) async fn leave_all_groups(
        &self,
        tenant: &TenantId,
        id: &RecipientId,
    ) -> Result<(), StoreError> {
        let partition = keys::memberships(tenant, &self.recipient_key(tenant, id));
        let mut after = None;
        loop {
            let query = Query { index: Index::ByParent, ..keys::partition(partition.clone(), 100, after) };
            let page = self.table.query(&query).await?;
            let leave =
                page.items.into_iter().map(|(key, _)| Write::Delete { key, only_if: Vec::new() }).collect();
            self.table.write_each(leave).await.into_iter().try_for_each(|left| left.map(drop))?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// The members of a group, or a range of them, in the order of their ids. Holds no more than about a page.
pub(crate) struct Walk<'a> {
    table: &'a dyn Table,
    page: usize,
    shards: Vec<Shard>,
}

/// What was read of one partition and is not answered yet.
struct Shard {
    query: Query,
    read: VecDeque<RecipientId>,
    ended: bool,
}

impl Walk<'_> {
    /// The next members: a page of them, or what is left.
    pub(crate) async fn next_page(&mut self) -> Result<Vec<RecipientId>, StoreError> {
        let mut page = Vec::new();
        while page.len() < self.page {
            self.read_on().await?;
            let fronts = self.shards.iter_mut().filter(|shard| !shard.read.is_empty());
            let Some(id) = fronts.min_by(|a, b| a.read[0].cmp(&b.read[0])).and_then(|s| s.read.pop_front())
            else {
                break;
            };
            page.push(id);
        }
        Ok(page)
    }

    /// Whether the next page has anybody.
    pub(crate) async fn has_more(&mut self) -> Result<bool, StoreError> {
        self.read_on().await?;
        Ok(self.shards.iter().any(|shard| !shard.read.is_empty()))
    }

    /// Reads on in each partition of which nothing is left: only then is it known who comes first.
    async fn read_on(&mut self) -> Result<(), StoreError> {
        let used_up = |shard: &Shard| shard.read.is_empty() && !shard.ended;
        if self.shards.iter().any(used_up) {
            let table = self.table;
            let used_up = self.shards.iter_mut().filter(|shard| used_up(shard));
            try_join_all(used_up.map(|shard| shard.read_on(table))).await?;
        }
        Ok(())
    }
}

impl Shard {
    async fn read_on(&mut self, table: &dyn Table) -> Result<(), StoreError> {
        while self.read.is_empty() && !self.ended {
            let page = table.query(&self.query).await?;
            for (key, _) in &page.items {
                self.read.push_back(name_of(key.sk())?);
            }
            self.ended = page.next.is_none();
            self.query.after = page.next;
        }
        Ok(())
    }
}

/// How many are read of one partition for a page: its fair share, and room for chance, so that most pages take one
/// query of each.
fn share(page: usize) -> usize {
    let fair = page.div_ceil(usize::from(keys::MEMBER_SHARDS));
    fair + fair / 4 + 8
}

/// A membership, listed under its recipient so that it goes with them.
fn member_item(tenant: &TenantId, recipient: &RecipientKey, group: &GroupName) -> Item {
    let (pk, sk) = Index::ByParent.attributes();
    [
        ("v".to_owned(), 1.into()),
        (pk.to_owned(), keys::memberships(tenant, recipient).into()),
        (sk.to_owned(), group.as_str().into()),
    ]
    .into_iter()
    .collect()
}
