//! Messages that no worker could work: a record of each, and what it said, in pieces of its own. Both are gone after
//! [`KEPT`], because what a message said can hold names and addresses; what it said goes earlier when it is redriven.

use carillon_domain::{DeliveryId, EventId, TenantId, Timestamp};
use jiff::SignedDuration;
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};

use super::{failures, from_item, keys, shards, to_item};
use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::{Check, Index, Key, Query, Queue, StoreError, Write};

/// How long a dead letter is kept: as long as SQS would have kept it.
pub const KEPT: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A queue takes 1 MiB and an item 400 KB: what a message said is cut into pieces below that.
const PIECE_BYTES: usize = 300_000;

/// Why a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It is not what its queue's worker works on.
    Unreadable,
    /// It was received again and again, and no worker finished it.
    ReceivedTooOften,
    /// It never reached its queue.
    Undelivered,
}

impl Cause {
    /// The word in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::ReceivedTooOften => "received_too_often",
            Self::Undelivered => "undelivered",
        }
    }
}

/// The record of a message that died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Made of the queue and the message's own id, so that a message that dies twice is one record.
    pub id: String,
    /// Whose it is; none when nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The queue it was on.
    pub queue: Queue,
    /// Why.
    pub reason: Cause,
    /// How often it was received.
    pub receive_count: u32,
    /// The delivery that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<DeliveryId>,
    /// The event that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// In how many pieces what it said is kept.
    pub pieces: usize,
    /// When it was recorded.
    #[serde(with = "ms")]
    pub created_at: Timestamp,
    /// When it was redriven.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub redriven_at: Option<Timestamp>,
    /// When it is gone, in seconds since 1970.
    pub expires_s: i64,
}

/// A part of the list of dead letters.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterRange {
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// With those of which nobody can say whose they are.
    pub ownerless: bool,
}

/// A piece of what a message said.
#[derive(Serialize, Deserialize)]
struct Piece {
    text: String,
    expires_s: i64,
}

fn cut(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

impl Pipeline {
    /// Records a message that died with what it said, unless it is recorded. Answers the record that is there.
    pub(crate) async fn put_dead_letter(
        &self,
        mut letter: DeadLetter,
        payload: &str,
        told: bool,
    ) -> Result<DeadLetter, StoreError> {
        let owner = letter.tenant.clone();
        let key = keys::dead_letter(owner.as_ref(), &letter.id);
        if let Some(item) = self.table.get(&key).await? {
            return from_item(item);
        }
        let pieces = cut(payload);
        letter.pieces = pieces.len();
        for (n, text) in pieces.into_iter().enumerate() {
            let key = keys::dead_letter_piece(owner.as_ref(), &letter.id, n);
            let item = to_item(&Piece { text: text.to_owned(), expires_s: letter.expires_s })?;
            self.table.write(Write::Put { key, item, only_if: Vec::new() }).await?;
        }
        let mut item = to_item(&letter)?;
        let mut place = |index: Index, partition: String, sort: String| {
            let (pk, sk) = index.attributes();
            item.insert(pk.to_owned(), partition.into());
            item.insert(sk.to_owned(), sort.into());
        };
        place(
            Index::ByParent,
            owner.as_ref().map_or_else(keys::lookups::ownerless_dead_letters, keys::dead_letters),
            format!("{}#{}", keys::millis(letter.created_at), letter.id),
        );
        if let Some(tenant) = owner.as_ref().filter(|_| told) {
            let (partition, sort) = failures::place(tenant, letter.created_at, &letter.id);
            place(Index::Attention, partition, sort);
        }
        match self.table.write(Write::Put { key, item, only_if: vec![Check::Absent] }).await {
            Ok(_) => Ok(letter),
            Err(StoreError::Conflict(Some(found))) => from_item(found),
            Err(error) => Err(error),
        }
    }

    /// What a dead message said; none when it is gone.
    pub(crate) async fn dead_letter_payload(
        &self,
        letter: &DeadLetter,
    ) -> Result<Option<String>, StoreError> {
        let keys = (0..letter.pieces).map(|n| keys::dead_letter_piece(letter.tenant.as_ref(), &letter.id, n));
        let mut payload = String::new();
        for key in keys {
            let Some(item) = self.table.get(&key).await? else { return Ok(None) };
            payload.push_str(&from_item::<Piece>(item)?.text);
        }
        Ok((!payload.is_empty()).then_some(payload))
    }

    /// Records that a dead letter was redriven, and forgets what it said.
    pub(crate) async fn put_redriven(&self, letter: &DeadLetter, at: Timestamp) -> Result<(), StoreError> {
        let tenant = letter.tenant.as_ref();
        let (pk, sk) = Index::Attention.attributes();
        let write = Write::Update {
            key: keys::dead_letter(tenant, &letter.id),
            set: vec![("redriven_at".to_owned(), at.as_millisecond().into())],
            add: Vec::new(),
            remove: vec![pk.to_owned(), sk.to_owned()],
            only_if: vec![Check::Present],
        };
        match self.table.write(write).await {
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        for n in 0..letter.pieces {
            let key = keys::dead_letter_piece(tenant, &letter.id, n);
            self.table.write(Write::Delete { key, only_if: Vec::new() }).await?;
        }
        Ok(())
    }

    /// Some dead letters by their ids; those that are not there, or not this tenant's, are left out.
    pub(crate) async fn dead_letters_by_id(
        &self,
        tenant: &TenantId,
        ids: &[String],
        ownerless: bool,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut keys: Vec<Key> = ids.iter().map(|id| keys::dead_letter(Some(tenant), id)).collect();
        if ownerless {
            keys.extend(ids.iter().map(|id| keys::dead_letter(None, id)));
        }
        self.dead_letters_at(&keys).await
    }

    /// A page of the dead letters of a tenant, the newest first, and where the next begins.
    ///
    /// # Errors
    /// When the table cannot be reached, or the cursor is none.
    pub async fn dead_letters(
        &self,
        tenant: &TenantId,
        range: &DeadLetterRange,
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<DeadLetter>, Option<String>), StoreError> {
        if after.is_some_and(|after| after.split_once('#').is_none_or(|(ms, _)| ms.len() != 13)) {
            return Err(StoreError::BadCursor);
        }
        let mut partitions = vec![keys::dead_letters(tenant)];
        partitions.extend(range.ownerless.then(keys::lookups::ownerless_dead_letters));
        let query = Query {
            index: Index::ByParent,
            from: range.from.map(keys::millis),
            // Below every id of that millisecond.
            to: after.map(str::to_owned).or_else(|| range.to.map(keys::millis)),
            descending: true,
            // One more, because the last one of the page before is included and dropped below.
            limit: limit + 1,
            ..keys::partition(String::new(), limit + 1, None)
        };
        let sort_key = Index::ByParent.attributes().1;
        let mut found = shards::merged(self.table.as_ref(), partitions, &query, sort_key).await?;
        found.retain(|(sort, _, _)| Some(sort.as_str()) != after);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(sort, _, _)| sort.clone());
        let keys: Vec<Key> = found.into_iter().map(|(_, key, _)| key).collect();
        Ok((self.dead_letters_at(&keys).await?, next))
    }

    async fn dead_letters_at(&self, keys: &[Key]) -> Result<Vec<DeadLetter>, StoreError> {
        let items = self.table.get_many(keys).await?.into_iter().flatten();
        let letters: Vec<DeadLetter> = items.map(from_item).collect::<Result<_, _>>()?;
        // What has expired goes when DynamoDB comes round to it.
        let now_s = self.now().as_second();
        Ok(letters.into_iter().filter(|letter| letter.expires_s > now_s).collect())
    }
}

/// When something that was made at an instant is gone, in seconds since 1970.
pub(crate) fn expires_s(created_at: Timestamp) -> i64 {
    plus(created_at, KEPT).as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_is_cut_between_characters_and_joined_again() {
        for text in [String::new(), "x".to_owned(), "é".repeat(500_000), "a".repeat(PIECE_BYTES)] {
            let pieces = cut(&text);
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE_BYTES));
            assert_eq!(pieces.concat(), text);
        }
    }
}
