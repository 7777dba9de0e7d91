//! Digests in the table, beside the recipient whom they are for. The *head* of a group says when the open window ends; each
//! event that joins has an item under that window; a *closing* lists events that one delivery tells of, and never changes.

use carillon_domain::{DigestMark, EventId, RecipientKey, TenantId, Timestamp};
use jiff::fmt::serde::timestamp::millisecond::required as ms;
use serde::{Deserialize, Serialize};

use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, StoreError, Write};

/// The open window of a group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Head {
    /// When it ends.
    #[serde(with = "ms")]
    pub(crate) ends_at: Timestamp,
    /// How many have joined it: the place of the last.
    pub(crate) joined: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Closing {
    events: Vec<EventId>,
}

impl Pipeline {
    /// Joins the window of a group that is open at an instant; opens one that ends at `else_at` when none is. Who repeats it
    /// has a second place.
    pub(crate) async fn enter_digest(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        group: &str,
        now: Timestamp,
        else_at: Timestamp,
    ) -> Result<Head, StoreError> {
        let key = keys::digest_head(tenant, person, group);
        let mut found = self.table.get(&key).await?;
        loop {
            let head: Option<Head> = found.map(from_item).transpose()?;
            let still = |head: Head| Check::Equals("ends_at", head.ends_at.as_millisecond().into());
            let opened = Head { ends_at: else_at, joined: 1 };
            let key = key.clone();
            let write = match head {
                Some(head) if head.ends_at > now => Write::Update {
                    key,
                    set: Vec::new(),
                    add: vec![("joined".to_owned(), 1)],
                    remove: Vec::new(),
                    only_if: vec![still(head)],
                },
                Some(head) => Write::Put { key, item: to_item(&opened)?, only_if: vec![still(head)] },
                None => Write::Put { key, item: to_item(&opened)?, only_if: vec![Check::Absent] },
            };
            match self.table.write(write).await {
                Ok(item) if item.is_empty() => return Ok(opened),
                Ok(item) => return from_item(item),
                // Whoever was first opened it for both.
                Err(StoreError::Conflict(other)) => found = other,
                Err(error) => return Err(error),
            }
        }
    }

    /// Notes that an event belongs to a digest, and in which place.
    pub(crate) async fn put_digest_member(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        mark: &DigestMark,
        place: (Timestamp, u32),
        event: &EventId,
    ) -> Result<(), StoreError> {
        let key = keys::digest_member(tenant, person, mark, place, event);
        let item = std::iter::once(("v".to_owned(), 1.into())).collect();
        self.table.write(Write::Put { key, item, only_if: Vec::new() }).await.map(drop)
    }

    /// A page of the events of a digest, in order, and where the next begins. One that was noted twice is there twice.
    pub(crate) async fn digest_members(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        mark: &DigestMark,
        after: Option<String>,
    ) -> Result<(Vec<EventId>, Option<String>), StoreError> {
        let page = self.table.query(&keys::digest_members(tenant, person, mark, after)).await?;
        let ids = page.items.iter().filter_map(|(key, _)| keys::digest_member_id(key)).collect();
        Ok((ids, page.next))
    }

    /// The events of a closing; none when there is no such closing yet.
    pub(crate) async fn digest_closing(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        mark: &DigestMark,
        number: u32,
    ) -> Result<Option<Vec<EventId>>, StoreError> {
        let found = self.table.get(&keys::digest_closing(tenant, person, mark, number)).await?;
        Ok(found.map(from_item::<Closing>).transpose()?.map(|closing| closing.events))
    }

    /// Stores a closing. Answers the one that counts: the first that was stored.
    pub(crate) async fn put_digest_closing(
        &self,
        tenant: &TenantId,
        person: &RecipientKey,
        mark: &DigestMark,
        number: u32,
        events: Vec<EventId>,
    ) -> Result<Vec<EventId>, StoreError> {
        let closing = Closing { events };
        let key = keys::digest_closing(tenant, person, mark, number);
        let write = Write::Put { key, item: to_item(&closing)?, only_if: vec![Check::Absent] };
        match self.table.write(write).await {
            Ok(_) => Ok(closing.events),
            Err(StoreError::Conflict(Some(found))) => Ok(from_item::<Closing>(found)?.events),
            Err(error) => Err(error),
        }
    }
}
