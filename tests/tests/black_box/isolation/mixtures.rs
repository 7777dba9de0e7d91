//! What B says in bodies: random mixtures of A's ids, its own and those that both have, as audiences, groups, members,
//! filters and addresses. Whatever it says, no answer shows what is A's, and A stays as it was.

use std::cell::RefCell;

use carillon_tests::document::document;
use carillon_tests::until;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use crate::isolation::calls::Asked;
use crate::isolation::world::{SECRET, TODAY, World};
use crate::isolation::{told, unchanged};

const PEOPLE: &[&str] = &["amber-ada", "amber-bo", "birch-ada", "birch-bo", "u-1", "u-2", "nobody"];
const GROUPS: &[&str] = &["amber group", "birch group", "Sales Team", "Nobody"];
const TYPES: &[&str] = &["amber.order", "birch.order", "order.created"];
const TEMPLATES: &[&str] = &["amber_order", "birch_order", "order_created"];
const CHANNELS: &[&str] = &["whatsapp", "email", "in_app"];

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(of, 0..=of.len())
}

fn channels() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(CHANNELS, 1..=CHANNELS.len())
}

/// An event for a route, or one with a template of its own; posted, previewed or in a batch.
fn event() -> impl Strategy<Value = Asked> {
    let targets = (some(PEOPLE), some(GROUPS), any::<bool>());
    (targets, select(TYPES), select(PEOPLE), select(TEMPLATES), channels(), 0..4_u8).prop_map(
        |((ids, groups, replace), event_type, customer, template, channels, how)| {
            let recipients = json!({"ids": ids, "groups": groups, "replace": replace});
            let mut event = json!({"type": event_type, "data": {"number": "7", "customer": customer}, "recipients": recipients});
            if how == 0 {
                event["template"] = json!(template);
                event["channels"] = json!(channels);
            }
            match how {
                1 => Asked::json("POST", "/v1/events/preview", &event),
                2 => Asked::json("POST", "/v1/events/batch", &json!({"events": [event, event]})),
                _ => Asked::json("POST", "/v1/events", &event),
            }
        },
    )
}

/// Groups and their members.
fn membership() -> impl Strategy<Value = Asked> {
    (select(GROUPS), some(PEOPLE), some(PEOPLE), select(PEOPLE), 0..5_u8).prop_map(
        |(group, add, remove, one, how)| {
            let group = format!("/v1/groups/{}", group.replace(' ', "%20"));
            match how {
                0 => Asked::json("PUT", group, &json!({"members": add})),
                1 => Asked::json("POST", format!("{group}/members"), &json!({"add": add, "remove": remove})),
                2 => Asked::json("PUT", format!("{group}/members/{one}"), &json!(null)),
                3 => Asked::bare("DELETE", format!("{group}/members/{one}")),
                _ => Asked::bare("GET", format!("{group}/members")),
            }
        },
    )
}

/// Routes to anybody, with any template.
fn route() -> impl Strategy<Value = Asked> {
    (select(TYPES), some(GROUPS), some(PEOPLE), select(TEMPLATES), channels(), any::<bool>()).prop_map(
        |(event_type, groups, ids, template, channels, removed)| {
            let path = format!("/v1/routes/{event_type}");
            if removed {
                return Asked::bare("DELETE", path);
            }
            let audience = json!({"groups": groups, "ids": ids, "from_event": ["data.customer"]});
            Asked::json(
                "PUT",
                path,
                &json!({"audience": audience, "template": template, "channels": channels}),
            )
        },
    )
}

/// People under any id, with numbers that A's people have too.
fn person() -> impl Strategy<Value = Asked> {
    (select(PEOPLE), 8..16_u8, 0..4_u8).prop_map(|(id, number, how)| {
        let path = format!("/v1/recipients/{id}");
        let body = json!({"name": "B's own", "email": format!("{id}@example.com"), "phone": format!("+120255501{number:02}")});
        match how {
            0 => Asked::json("PUT", path, &body),
            1 => Asked::bare("DELETE", path),
            2 => Asked::json("PUT", format!("{path}/preferences"), &json!({"channels": {"email": false}})),
            _ => {
                let mut line = body;
                line["id"] = json!(id);
                let body = Some(("application/x-ndjson".to_owned(), line.to_string()));
                Asked { method: "POST".to_owned(), path: "/v1/recipients/import".to_owned(), body }
            }
        }
    })
}

/// Filters and searches for what is A's, and a suppression of an address of A's.
fn search(event: String, letter: String) -> impl Strategy<Value = Asked> {
    let sought = [
        format!("{SECRET}-amber-ada@example.com"),
        SECRET.to_owned(),
        "+12025550110".to_owned(),
        "amber".to_owned(),
    ];
    (select(sought.to_vec()), select(PEOPLE), select(TYPES), 0..7_u8).prop_map(
        move |(sought, id, event_type, how)| match how {
            0 => Asked::json("POST", "/v1/recipients/search", &json!({"query": sought})),
            1 => Asked::bare(
                "GET",
                format!("/v1/deliveries?recipient={id}&event_type={event_type}&from={TODAY}"),
            ),
            2 => Asked::bare("GET", format!("/v1/events/{event}/explain?recipient={id}")),
            3 => Asked::bare("GET", format!("/v1/inbox?recipient={id}")),
            4 => Asked::bare("GET", format!("/v1/events?type={event_type}&from={TODAY}")),
            5 => Asked::json("POST", "/v1/dead-letters/redrive", &json!({"filter": {"ids": [letter]}})),
            _ => Asked::json(
                "POST",
                "/v1/suppressions",
                &json!({"channel": "email", "address": sought, "reason": "none"}),
            ),
        },
    )
}

/// E25: ten stories, each of up to fifteen requests.
#[test]
fn no_mixture_of_ids_shows_or_changes_what_is_another_tenants() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::furnished());
    let document = document();
    let (before, told_before) =
        runtime.block_on(async { (world.everything_of_a(&document).await, told(&world).await) });
    // B may come to have a person or group of its own under any of these names; the other ids are made by Carillon.
    let mut secrets = world.ids_of_a_alone();
    secrets.retain(|id| {
        !PEOPLE.contains(id) && !GROUPS.contains(id) && !TYPES.contains(id) && !TEMPLATES.contains(id)
    });
    let act = prop_oneof![
        4 => event(),
        3 => membership(),
        2 => route(),
        2 => person(),
        3 => search(world.ids["event"][0].clone(), world.ids["letter"][0].clone()),
    ];
    // What a case leaves is what the next one begins with, so a smaller case says nothing about a failing one.
    let config = Config { cases: 10, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let answered = RefCell::new([0_u32; 6]);
    let story = proptest::collection::vec(act, 4..16);
    let ran = TestRunner::new(config).run(&story, |acts| {
        runtime.block_on(async {
            for asked in &acts {
                let answer = asked.by_b(&world).await;
                answered.borrow_mut()[usize::from(answer.status / 100).min(5)] += 1;
                let leaks = asked.leaks(&answer, &secrets);
                if answer.status >= 500 || !leaks.is_empty() {
                    return Err(TestCaseError::fail(format!("{asked:?} shows {leaks:?}: {answer:?}")));
                }
            }
            unchanged(&before, &world.everything_of_a(&document).await, &format!("{acts:?}"));
            Ok(())
        })
    });
    assert!(ran.is_ok(), "{ran:?}");
    runtime.block_on(until("all that B posted is planned", async || {
        let events = world.b.get(&format!("/v1/events?limit=200&from={TODAY}")).await.body["items"]
            .as_array()
            .cloned()?;
        events.iter().all(|event| event["planned"].is_u64()).then_some(())
    }));
    runtime.block_on(async { unchanged(&before, &world.everything_of_a(&document).await, "all of it") });
    assert_eq!(runtime.block_on(told(&world)), told_before, "nobody of A's was told anything");
    let [_, _, good, _, refused, _] = answered.into_inner();
    assert!(good > 20 && refused > 5, "the mixtures are good and bad: {good} answered, {refused} refused");
}
