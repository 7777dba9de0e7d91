//! Where items are found: their places in the table and, sparse, in the three indexes, each partition in order. Reads a
//! [`Query`]; answers the keys of a page and its cursor, in the adapter's own form, so that either can go on where the
//! other stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use carillon_pipeline::ports::{Index, Item, Key, Query, StoreError};

use super::change::{key_fault, refused};

/// The indexes beside the table.
pub(super) const SECONDARY: [Index; 3] = [Index::ByParent, Index::ByDay, Index::Attention];

/// A place in a partition: by sort key, then, where an index has the same one twice, by the item's own key.
type Place = (String, Key);

/// Every item's places, by index and partition.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<&'static str, BTreeMap<String, BTreeSet<Place>>>);

/// The partition and sort key of an item in an index; none when it lacks one of them.
pub(super) fn place(index: Index, key: &Key, item: &Item) -> Option<(String, String)> {
    if index == Index::Table {
        return Some((key.pk().to_owned(), key.sk().to_owned()));
    }
    let (partition, sort) = index.attributes();
    let text = |name: &str| item.get(name)?.as_str().map(str::to_owned);
    Some((text(partition)?, text(sort)?))
}

/// What an index answers of an item: the table everything, the others the attributes of their own key.
pub(super) fn projected(index: Index, item: &Item) -> Item {
    let (partition, sort) = index.attributes();
    let kept = |name: &str| index == Index::Table || name == partition || name == sort;
    item.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Places {
    /// Follows an item from one form to the next.
    pub(super) fn moved(&mut self, key: &Key, before: Option<&Item>, after: Option<&Item>) {
        for index in [Index::Table].into_iter().chain(SECONDARY) {
            let partitions = self.0.entry(index.attributes().0).or_default();
            if let Some((partition, sort)) = before.and_then(|item| place(index, key, item))
                && let Some(places) = partitions.get_mut(&partition)
            {
                places.remove(&(sort, key.clone()));
                if places.is_empty() {
                    partitions.remove(&partition);
                }
            }
            if let Some((partition, sort)) = after.and_then(|item| place(index, key, item)) {
                partitions.entry(partition).or_default().insert((sort, key.clone()));
            }
        }
    }

    /// The keys of one page, and the cursor when it is full: DynamoDB stops there without looking further.
    pub(super) fn page(&self, query: &Query) -> Result<(Vec<Key>, Option<String>), StoreError> {
        let from = query.from.as_ref().filter(|from| !from.is_empty());
        let to = query.to.as_ref();
        let empty_range = to.is_some_and(|to| to.is_empty() || from.is_some_and(|from| from > to));
        if empty_range || query.partition().is_empty() {
            return Ok((Vec::new(), None));
        }
        let after = query.after.as_deref().map(|cursor| decode(query, cursor)).transpose()?;
        if query.limit == 0 {
            return Ok((Vec::new(), None));
        }
        if let Some((sort, key)) = &after {
            key_fault(key)?;
            if from.is_some_and(|from| sort < from) || to.is_some_and(|to| sort > to) {
                return Err(refused("the place to go on from is outside the query"));
            }
        }
        let partitions = self.0.get(query.index.attributes().0);
        let Some(places) = partitions.and_then(|p| p.get(query.partition())) else {
            return Ok((Vec::new(), None));
        };
        let range = places.range(bounds(from, to, after, query.descending));
        let found: Vec<&Place> = if query.descending {
            range.rev().take(query.limit).collect()
        } else {
            range.take(query.limit).collect()
        };
        let full = found.len() == query.limit;
        let next = found.last().filter(|_| full).map(|place| encode(query.index, place));
        Ok((found.into_iter().map(|(_, key)| key.clone()).collect(), next))
    }
}

fn bounds(
    from: Option<&String>,
    to: Option<&String>,
    after: Option<Place>,
    descending: bool,
) -> (Bound<Place>, Bound<Place>) {
    let least = || Key::read_back(String::new(), String::new());
    let low = from.map_or(Bound::Unbounded, |from| Bound::Included((from.clone(), least())));
    // The least text above `to`.
    let high = to.map_or(Bound::Unbounded, |to| Bound::Excluded((format!("{to}\0"), least())));
    match after {
        None => (low, high),
        Some(after) if descending => (low, Bound::Excluded(after)),
        Some(after) => (Bound::Excluded(after), high),
    }
}

fn encode(index: Index, (sort, key): &Place) -> String {
    match index {
        Index::Table => sort.clone(),
        _ => serde_json::json!([key.pk(), key.sk(), sort]).to_string(),
    }
}

fn decode(query: &Query, cursor: &str) -> Result<Place, StoreError> {
    if query.index == Index::Table {
        return Ok((cursor.to_owned(), Key::read_back(query.partition().to_owned(), cursor.to_owned())));
    }
    let place: Result<[String; 3], _> = serde_json::from_str(cursor);
    let place = place.ok().filter(|parts| parts.iter().all(|part| !part.is_empty()));
    let [pk, sk, sort] = place.ok_or(StoreError::BadCursor)?;
    Ok((sort, Key::read_back(pk, sk)))
}
