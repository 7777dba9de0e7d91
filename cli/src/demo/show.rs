//! Prints who was told what on which channel, and what is not as expected.

use std::collections::BTreeMap;

use carillon_local::cloud::Ready;
use serde_json::{Value, json};

use super::compare::state;
use super::{Played, PlayedPack};
use crate::outcome::Done;
use crate::table::table;

/// The whole demo.
pub(super) fn done(packs: &[PlayedPack<'_>], strays: &[String]) -> Done {
    let mut text: String = packs.iter().map(pack_text).collect();
    for stray in strays {
        text.push_str("MISMATCH ");
        text.push_str(stray);
        text.push('\n');
    }
    let faults = strays.len() + packs.iter().flat_map(|p| &p.samples).map(|s| s.faults.len()).sum::<usize>();
    let json = json!({"packs": packs.iter().map(pack_json).collect::<Vec<_>>(), "strays": strays, "ok": faults == 0});
    Done { text, json, found_fault: faults > 0 }
}

/// For `--keep`: where the same can be looked at.
pub(super) fn where_to_look(ready: &Ready, packs: &[PlayedPack<'_>]) -> String {
    let mut text = format!("The cloud stays up until Ctrl-C.\n  outbox  {}\n", ready.outbox);
    for PlayedPack { tenant, .. } in packs {
        let line = format!(
            "  {}  export CARILLON_URL={} CARILLON_API_KEY={}\n",
            tenant.tenant, ready.url, tenant.admin_key
        );
        text.push_str(&line);
    }
    text
}

fn pack_text(played: &PlayedPack<'_>) -> String {
    let mut rows = Vec::new();
    for sample in &played.samples {
        rows.extend(sample_rows(sample));
    }
    let mut text = format!("{} ({})\n\n", played.pack.title, played.pack.name);
    text.push_str(&table(["event", "recipient", "channel", "state", "says"], &rows));
    text.push('\n');
    for sample in &played.samples {
        for fault in &sample.faults {
            let line = format!("MISMATCH {}: {fault}\n", sample.sample.file.display());
            text.push_str(&line);
        }
    }
    text.push_str(&summary(played));
    text.push_str("\n\n");
    text
}

/// The event and the recipient stand where they begin, so that the eye finds them.
fn sample_rows(sample: &Played<'_>) -> Vec<[String; 5]> {
    let event = sample.sample.event_type.to_string();
    if sample.told.is_empty() {
        return vec![[event, "-".to_owned(), "-".to_owned(), "nobody was told".to_owned(), String::new()]];
    }
    let mut told: Vec<_> = sample.told.iter().collect();
    told.sort_by_key(|t| (&t.recipient_id, t.channel));
    let mut rows = Vec::new();
    let mut before = None;
    for told in told {
        let says = told.said.as_ref().map(|said| said.headline.clone()).unwrap_or_default();
        let recipient =
            if before == Some(&told.recipient_id) { String::new() } else { told.recipient_id.to_string() };
        let event = if before.is_none() { event.clone() } else { String::new() };
        rows.push([event, recipient, told.channel.to_string(), state(told), says]);
        before = Some(&told.recipient_id);
    }
    rows
}

fn summary(played: &PlayedPack<'_>) -> String {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    let told = played.samples.iter().flat_map(|sample| &sample.told);
    for told in told {
        *states.entry(state(told)).or_default() += 1;
    }
    let deliveries: usize = states.values().sum();
    let counted: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let expected: usize = played.samples.iter().map(|sample| sample.sample.expect.len()).sum();
    let faults: usize = played.samples.iter().map(|sample| sample.faults.len()).sum();
    let verdict = match faults {
        0 => format!("all {expected} as expected"),
        1 => "1 mismatch".to_owned(),
        many => format!("{many} mismatches"),
    };
    format!(
        "{}: {} events, {deliveries} deliveries ({}) in {:.1} s; {verdict}",
        played.pack.name,
        played.samples.len(),
        counted.join(", "),
        played.took.as_secs_f64()
    )
}

fn pack_json(played: &PlayedPack<'_>) -> Value {
    let samples: Vec<Value> = played.samples.iter().map(sample_json).collect();
    json!({"pack": played.pack.name, "tenant": played.tenant.tenant, "took_s": played.took.as_secs_f64(), "samples": samples})
}

fn sample_json(sample: &Played<'_>) -> Value {
    let deliveries: Vec<Value> = sample
        .told
        .iter()
        .map(|told| {
            json!({
                "id": told.id,
                "recipient_id": told.recipient_id,
                "channel": told.channel,
                "state": told.state,
                "reason": told.reason,
                "says": told.said.as_ref().map(|said| &said.headline),
            })
        })
        .collect();
    json!({
        "file": sample.sample.file,
        "item": sample.sample.item,
        "event_id": sample.event_id,
        "event_type": sample.sample.event_type,
        "expected": sample.sample.expect.len(),
        "deliveries": deliveries,
        "mismatches": sample.faults,
    })
}
