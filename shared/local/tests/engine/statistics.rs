//! Counting: whatever the stream does with its batches, the counters are what a recount of the deliveries gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_domain::counters::{Counters, Counts, Place};
use carillon_domain::{Delivery, Timestamp};
use carillon_local::changes::{ChangeLog, WatchedTable};
use carillon_local::journal::Journal;
use carillon_local::model::ModelTable;
use carillon_pipeline::ports::{Check, Item, Key, Table, Write};
use serde_json::{Value, json};

const DELIVERIES: usize = 60;

fn now() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

/// A small generator of the same numbers each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

fn key(n: usize) -> Key {
    let tenant = if n.is_multiple_of(7) { "other" } else { "acme" };
    let letter = char::from(b'a' + u8::try_from(n % 26).unwrap());
    let recipient: String = std::iter::repeat_n(letter, 16).collect();
    Key::read_back(format!("T#{tenant}#R#{recipient}"), format!("D#{}#{n}", "b".repeat(26)))
}

/// A delivery in one of its forms.
fn form(n: usize, step: usize) -> Item {
    let states = ["pending", "sending", "sent", "delivered", "read"];
    let mut delivery = json!({
        "id": format!("aaaaaaaaaaaaaaaa-{}-w", "b".repeat(26)), "event_id": "b".repeat(26),
        "event_type": format!("type.{}", n % 40), "recipient_id": format!("u-{n}"), "channel": "whatsapp",
        "category": "transactional", "priority": "normal", "template": format!("t-{}", n % 3),
        "state": states[step.min(4)], "expires_at": 9_000_000_000_000_i64, "rev": step + 1, "calls": usize::from(step > 0),
        "created_at": 1_795_165_200_000_i64 - i64::try_from(n % 4).unwrap() * 86_400_000, "changed_at": 0
    });
    if step > 1 {
        let sent = 1_795_165_200_700_i64;
        delivery["attempts"] =
            json!({"1": {"s": sent, "e": sent + 300, "o": "succeeded", "p": 3_400, "f": step > 2}});
    }
    if n.is_multiple_of(10) && step > 2 {
        (delivery["state"], delivery["reason"]) = (json!("failed"), json!("rejected:131026"));
    }
    match delivery {
        Value::Object(item) => item,
        _ => unreachable!(),
    }
}

/// Lives of some deliveries, mixed; answers the stream that they left.
async fn lives(table: &dyn Table, log: &ChangeLog, numbers: &mut Numbers) -> Vec<Value> {
    let mut steps = BTreeMap::new();
    for _ in 0..DELIVERIES * 4 {
        let n = numbers.below(DELIVERIES);
        let step = *steps.entry(n).and_modify(|step| *step += 1).or_insert(0_usize);
        let item = form(n, step);
        let write = if step == 0 {
            Write::Put { key: key(n), item, only_if: vec![Check::Absent] }
        } else {
            let before = form(n, step - 1);
            let set = item.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect();
            let only_if = vec![Check::Equals("rev", step.into())];
            Write::Update { key: key(n), set, add: Vec::new(), remove: Vec::new(), only_if }
        };
        // One that has come to its end is written once more, all the same.
        table.write(write).await.unwrap();
    }
    let mut records = Vec::new();
    while let Some((event, last)) = log.next_event().await.unwrap() {
        records.extend(event["Records"].as_array().unwrap().clone());
        log.forget(last).await.unwrap();
    }
    records
}

type Sums = BTreeMap<(String, String), Vec<(String, i64)>>;

fn sums<'a>(tenant: &str, counters: impl Iterator<Item = (&'a Place, &'a Counts)>) -> Sums {
    let named = |counts: &Counts| counts.iter().map(|(name, n)| (name.to_owned(), n)).collect();
    counters.map(|(place, counts)| ((tenant.to_owned(), place.to_string()), named(counts))).collect()
}

/// What is there, counted again.
fn recount(items: &BTreeMap<Key, Item>) -> Sums {
    let mut all = Sums::new();
    for tenant in ["acme", "other"] {
        let mut counters = Counters::default();
        let of_tenant =
            |key: &Key| key.pk().starts_with(&format!("T#{tenant}#R#")) && key.sk().starts_with("D#");
        for (_, item) in items.iter().filter(|(key, _)| of_tenant(key)) {
            let delivery: Delivery = serde_json::from_value(Value::Object(item.clone())).unwrap();
            counters.change(None, &delivery);
        }
        all.extend(sums(tenant, counters.iter()));
    }
    all
}

/// What the counters say.
fn counted(items: &BTreeMap<Key, Item>) -> Sums {
    let mut all = Sums::new();
    for tenant in ["acme", "other"] {
        let mut counters = Counters::default();
        let of_tenant = |key: &Key| key.pk().starts_with(&format!("T#{tenant}#COUNTERS#"));
        for (key, item) in items.iter().filter(|(key, _)| of_tenant(key)) {
            let mut counts = Counts::default();
            for (name, value) in item {
                counts.add(name.clone(), value.as_i64().unwrap());
            }
            counters.add(key.sk().parse().unwrap(), &counts);
        }
        all.extend(sums(tenant, counters.iter()));
    }
    all
}

async fn world() -> (Arc<ModelTable>, WatchedTable, Arc<ChangeLog>) {
    let model = Arc::new(ModelTable::new());
    let log = ChangeLog::alone(Journal::in_memory().unwrap()).await.unwrap();
    let table = WatchedTable::over(model.clone(), Arc::clone(&log));
    (model, table, log)
}

fn event(shard: &str, records: &[Value]) -> Value {
    json!({"shardId": shard, "Records": records})
}

#[tokio::test]
async fn batches_that_come_doubled_in_halves_and_late_count_once() {
    for seed in 0..6 {
        let mut numbers = Numbers(seed);
        let (model, table, log) = world().await;
        let records = lives(&table, &log, &mut numbers).await;
        assert_eq!(records.len(), DELIVERIES * 4);
        let mut at = 0;
        while at < records.len() {
            let end = (at + 1 + numbers.below(50)).min(records.len());
            // Again from an earlier place, or in halves, or the same once more: but always on from what was not counted.
            let from = at.saturating_sub(numbers.below(30));
            let half = at + (end - at) / 2;
            for batch in [&records[from..half.max(from)], &records[from..end], &records[at..end]] {
                statistics::handle(model.as_ref(), &event("shard-1", batch), now()).await.unwrap();
            }
            at = end;
        }
        statistics::handle(model.as_ref(), &event("shard-1", &records), now()).await.unwrap();
        let items = model.items();
        assert_eq!(counted(&items), recount(&items), "seed {seed}");
    }
}

#[tokio::test]
async fn shards_that_are_worked_in_any_order_come_to_the_same() {
    let mut numbers = Numbers(7);
    let (model, table, log) = world().await;
    let records = lives(&table, &log, &mut numbers).await;
    // DynamoDB keeps the changes of one item in one shard; the sums do not even need that.
    for shard in [2, 0, 1] {
        let own: Vec<Value> = records
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 3 == shard)
            .map(|(_, record)| record.clone())
            .collect();
        for _ in 0..2 {
            statistics::handle(model.as_ref(), &event(&format!("shard-{shard}"), &own), now()).await.unwrap();
        }
    }
    let items = model.items();
    assert_eq!(counted(&items), recount(&items));
}

#[tokio::test]
async fn one_batch_may_change_more_counters_than_a_transaction_takes() {
    let (model, table, log) = world().await;
    let mut records = Vec::new();
    for n in 0..480 {
        let item = form(n, 0);
        let key = Key::read_back("T#acme#R#aaaaaaaaaaaaaaaa".to_owned(), format!("D#{n}#w"));
        table.write(Write::Put { key, item, only_if: vec![Check::Absent] }).await.unwrap();
    }
    while let Some((event, last)) = log.next_event().await.unwrap() {
        records.extend(event["Records"].as_array().unwrap().clone());
        log.forget(last).await.unwrap();
    }
    statistics::handle(model.as_ref(), &event("shard-1", &records), now()).await.unwrap();
    let items = model.items();
    assert!(counted(&items).len() > 100);
    assert_eq!(counted(&items), recount(&items));
}

#[tokio::test]
async fn a_delivery_that_is_removed_stays_counted() {
    let (model, table, log) = world().await;
    table.write(Write::Put { key: key(1), item: form(1, 2), only_if: vec![Check::Absent] }).await.unwrap();
    table.write(Write::Delete { key: key(1), only_if: Vec::new() }).await.unwrap();
    let (event, _) = log.next_event().await.unwrap().unwrap();
    statistics::handle(model.as_ref(), &event, now()).await.unwrap();
    let counted = counted(&model.items());
    assert_eq!(counted.len(), 1);
    assert!(counted.values().all(|numbers| numbers.contains(&("sent".to_owned(), 1))), "{counted:?}");
}
