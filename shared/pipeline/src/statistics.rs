//! statistics: reads the changes of the table, in the order of its stream, and counts those of deliveries. Counts and how far
//! it came are one transaction, so a batch that comes twice, or comes again in parts, counts once. It costs the send path
//! nothing: `stats.rs` reads the counters, and so do budgets.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use carillon_domain::counters::Counters;
use carillon_domain::{Delivery, TenantId, Timestamp};
use serde_json::Value;

use crate::ports::{Check, Item, Key, StoreError, Table, TransactError, Write};
use crate::store::counters::counter_write;
use crate::store::{from_item, keys};

/// Counters that one transaction changes at most; DynamoDB takes a hundred writes, and one is the position.
const COUNTERS_AT_ONCE: usize = 95;

/// How often a transaction is repeated that somebody else came before.
const REPEATS: u32 = 10;

/// How long a position is kept that does not move any more: a stream keeps its records for a day.
const POSITION_KEPT_S: i64 = 7 * 86_400;

/// Where a change stands in its shard: decimal digits, of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence(String);

impl Sequence {
    /// A sequence number as the stream writes it.
    #[must_use]
    pub fn of(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        Self(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() })
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

/// One change of one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where it stands.
    pub sequence: Sequence,
    /// Which item.
    pub key: Key,
    /// The item before; none when there was none.
    pub before: Option<Item>,
    /// The item after; none when it went.
    pub after: Option<Item>,
}

/// Some changes of one shard of the stream, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// The shard's id.
    pub shard: String,
    /// The changes.
    pub changes: Vec<Change>,
}

/// What the changes of some records come to, by tenant.
type Sums = BTreeMap<TenantId, Counters>;

/// Counts changes that have not been counted yet. Answers how many counters were changed.
///
/// # Errors
/// When the table cannot be reached; what has been counted stays, and is not counted again.
pub async fn count(table: &dyn Table, batch: &Changes, now: Timestamp) -> Result<usize, StoreError> {
    let position_key = keys::lookups::stream_position(&batch.shard);
    let shard = shard_of(&batch.shard);
    let (mut counted, mut conflicts) = (0, 0);
    loop {
        let found = table.get(&position_key).await?;
        let position = found.as_ref().and_then(position);
        let position = position.map(|text| (Sequence::of(&text), text));
        let news =
            batch.changes.iter().filter(|c| position.as_ref().is_none_or(|(seen, _)| c.sequence > *seen));
        let (sums, last) = sum(news);
        // Nothing to count needs no position either: it would come to nothing again.
        let (Some(last), false) = (last, sums.is_empty()) else { return Ok(counted) };
        let mut writes = vec![Write::Update {
            key: position_key.clone(),
            set: vec![
                (POSITION.to_owned(), last.0.as_str().into()),
                ("expires_s".to_owned(), (now.as_second() + POSITION_KEPT_S).into()),
            ],
            add: Vec::new(),
            remove: Vec::new(),
            only_if: vec![match &position {
                Some((_, text)) => Check::Equals(POSITION, Value::from(text.as_str())),
                None => Check::Missing(POSITION),
            }],
        }];
        for (tenant, counters) in &sums {
            writes.extend(counters.iter().map(|(place, counts)| counter_write(tenant, shard, place, counts)));
        }
        match table.transact(writes.clone()).await {
            Ok(()) => counted += writes.len() - 1,
            // Another run of the same batch, or our own write whose answer was lost: the position says how far it came.
            Err(TransactError::Conflict { .. }) if conflicts < REPEATS => conflicts += 1,
            Err(TransactError::Conflict { found, .. }) => return Err(StoreError::Conflict(found)),
            Err(TransactError::Store(error)) => return Err(error),
        }
    }
}

/// The sums of as many changes as one transaction takes, and the last of them.
fn sum<'a>(changes: impl Iterator<Item = &'a Change>) -> (Sums, Option<&'a Sequence>) {
    let (mut sums, mut last) = (Sums::new(), None);
    for change in changes {
        if let Some((tenant, before, after)) = of_delivery(change) {
            let mut next = Counters::default();
            next.change(before.as_ref(), &after);
            let known = sums.get(&tenant);
            let is_new = |place| known.is_none_or(|known| !known.has(place));
            let more = next.iter().filter(|(place, _)| is_new(place)).count();
            if sums.values().map(Counters::len).sum::<usize>() + more > COUNTERS_AT_ONCE {
                break;
            }
            let of_tenant = sums.entry(tenant).or_default();
            for (place, counts) in next.iter() {
                of_tenant.add(place.clone(), counts);
            }
        }
        last = Some(&change.sequence);
    }
    sums.retain(|_, counters| !counters.is_empty());
    (sums, last)
}

/// The forms of a delivery that changed. An item that went is not taken back, and one that cannot be read is not counted.
fn of_delivery(change: &Change) -> Option<(TenantId, Option<Delivery>, Delivery)> {
    let tenant = keys::tenant_of_delivery(&change.key)?;
    let read = |item: &Item| match from_item::<Delivery>(item.clone()) {
        Ok(delivery) => Some(delivery),
        Err(error) => {
            tracing::warn!(tenant.id = %tenant, error = %error, "a delivery that cannot be read is not counted");
            None
        }
    };
    let after = read(change.after.as_ref()?)?;
    let before = match &change.before {
        Some(item) => Some(read(item)?),
        None => None,
    };
    Some((tenant, before, after))
}

const POSITION: &str = "position";

fn position(item: &Item) -> Option<String> {
    item.get(POSITION)?.as_str().map(str::to_owned)
}

/// The shard of the counters that a shard of the stream writes into: two that run side by side seldom meet.
fn shard_of(stream_shard: &str) -> u8 {
    let sum: u32 = stream_shard.bytes().map(u32::from).sum();
    u8::try_from(sum % u32::from(keys::COUNTER_SHARDS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_sort_as_numbers() {
        let mut all = ["100", "9", "0000000000000000000010", "99999999999999999999999999999999999999999"]
            .map(Sequence::of);
        all.sort();
        assert_eq!(all.map(|s| s.0.len()), [1, 2, 3, 41]);
        assert_eq!(Sequence::of("007"), Sequence::of("7"));
    }

    #[test]
    fn only_deliveries_are_counted() {
        let change = |sk: &str| Change {
            sequence: Sequence::of("1"),
            key: Key::read_back("T#acme#R#aaaaaaaaaaaaaaaa".to_owned(), sk.to_owned()),
            before: None,
            after: Some(Item::new()),
        };
        for sk in ["RECIPIENT", "I#1#e", "D#unreadable#w"] {
            assert!(of_delivery(&change(sk)).is_none(), "{sk}");
        }
    }
}
