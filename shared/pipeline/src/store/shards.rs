//! Reading a list that is kept in several partitions: each is asked, and the answers are merged in order.

use futures_util::future::try_join_all;

use crate::ports::{Item, Key, Query, StoreError, Table};

/// The first `limit` items over all partitions. Sort keys must be unique over them: the last one is the cursor.
pub(crate) async fn merged(
    table: &dyn Table,
    partitions: impl IntoIterator<Item = String>,
    template: &Query,
    sort_key: &str,
) -> Result<Vec<(String, Key, Item)>, StoreError> {
    let queries: Vec<Query> =
        partitions.into_iter().map(|partition| Query { partition, ..template.clone() }).collect();
    let pages = try_join_all(queries.iter().map(|query| table.query(query))).await?;
    let mut all: Vec<(String, Key, Item)> = pages
        .into_iter()
        .flat_map(|page| page.items)
        .map(|(key, item)| {
            (item.get(sort_key).and_then(|v| v.as_str()).unwrap_or_default().to_owned(), key, item)
        })
        .collect();
    all.sort_by(|a, b| if template.descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) });
    all.truncate(template.limit);
    Ok(all)
}
