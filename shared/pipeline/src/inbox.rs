//! What a recipient, or an app on their behalf, reads of their feed: the newest at the cost of one read while nothing
//! changed, and the whole of it page by page. Reads items and head; `store/inbox_marks.rs` writes.

use carillon_domain::{EventType, Origin, Priority, RecipientKey, TenantId};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::ports::StoreError;
use crate::store::inbox::{InboxHead, InboxItem};
use crate::store::keys;

/// How many items the newest are.
const RECENT: usize = 10;

/// How many items a filtered page looks at. It may be short, and says where to go on.
const LOOKED_AT: usize = 500;

/// How many items a filter reads at a time.
const READ_AT_ONCE: usize = 100;

/// Which items of a feed are wanted; everything that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Of this type of event.
    pub event_type: Option<EventType>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// From here.
    pub origin: Option<Origin>,
    /// Unread, or read.
    pub unread: Option<bool>,
}

impl InboxFilter {
    fn takes(&self, item: &InboxItem, head: &InboxHead) -> bool {
        self.event_type.as_ref().is_none_or(|wanted| item.event_type == *wanted)
            && self.priority.is_none_or(|wanted| item.priority == wanted)
            && self.origin.is_none_or(|wanted| item.origin == wanted)
            && self.unread.is_none_or(|wanted| item.read_at(head).is_none() == wanted)
    }
}

/// The newest items, for somebody who may have seen them.
#[derive(Debug, Clone)]
pub enum Recent {
    /// Nothing has changed since the version that the caller has.
    Unchanged {
        /// The tag of that version.
        tag: String,
    },
    /// There is no such recipient.
    Nobody,
    /// The newest items and how many are unread, with the tag of this version of the feed.
    Changed {
        /// What to send as `If-None-Match` next time, without its quotes.
        tag: String,
        /// `{items, unread_count}`.
        view: Value,
    },
}

/// The tag of a version of a feed. It names the feed, because one address shows a different one to each reader.
fn tag(recipient: &RecipientKey, head: &InboxHead) -> String {
    format!("{recipient}-{}", head.version)
}

impl Pipeline {
    /// The newest items of a feed. `seen`: the tags that the caller has. Costs one read when one of them is current.
    pub async fn recent_in_inbox(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        seen: &[&str],
    ) -> Result<Recent, StoreError> {
        // Read before the items, so that a tag is never newer than what it came with.
        let head = self.inbox_head(tenant, recipient).await?;
        let tag = tag(recipient, &head);
        if seen.contains(&tag.as_str()) {
            return Ok(Recent::Unchanged { tag });
        }
        if !self.is_recipient(tenant, recipient).await? {
            return Ok(Recent::Nobody);
        }
        let (items, _) = self.inbox_page(tenant, recipient, RECENT, None).await?;
        let items: Vec<Value> = items.iter().map(|(_, item)| item_view(item, &head)).collect();
        Ok(Recent::Changed { tag, view: json!({"items": items, "unread_count": head.unread}) })
    }

    /// A page of a feed, the newest first, and where the next begins.
    pub async fn inbox_view(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
        filter: &InboxFilter,
        limit: usize,
        cursor: Option<String>,
    ) -> Result<(Vec<Value>, Option<String>), StoreError> {
        let head = self.inbox_head(tenant, recipient).await?;
        let at_once = if *filter == InboxFilter::default() { limit } else { READ_AT_ONCE };
        let (mut views, mut after, mut looked_at) = (Vec::new(), cursor, 0);
        loop {
            let (items, next) = self.inbox_page(tenant, recipient, at_once, after).await?;
            looked_at += items.len();
            let last = items.last().map(|(cursor, _)| cursor.clone());
            for (cursor, item) in items.into_iter().filter(|(_, item)| filter.takes(item, &head)) {
                views.push(item_view(&item, &head));
                if views.len() == limit {
                    let more = next.is_some() || last.as_ref() != Some(&cursor);
                    return Ok((views, more.then_some(cursor)));
                }
            }
            if next.is_none() || looked_at >= LOOKED_AT {
                return Ok((views, next));
            }
            after = next;
        }
    }

    /// Whether there is a recipient of this key.
    pub async fn is_recipient(
        &self,
        tenant: &TenantId,
        recipient: &RecipientKey,
    ) -> Result<bool, StoreError> {
        Ok(self.table.get(&keys::recipient(tenant, recipient)).await?.is_some())
    }
}

/// An item as callers see it.
#[must_use]
pub fn item_view(item: &InboxItem, head: &InboxHead) -> Value {
    let mut view = json!({
        "id": item.id,
        "title": item.title,
        "body": item.body,
        "type": item.event_type,
        "priority": item.priority,
        "origin": item.origin,
        "action_url": item.action_url,
        "created_at": item.created_at,
        "read_at": item.read_at(head),
    });
    if let Some(at) = item.archived_at {
        view["archived_at"] = json!(at);
    }
    view
}
