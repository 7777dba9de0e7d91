//! What every code of Meta's table does to a delivery, as an answer and as a receipt hours later.

use carillon_channels::whatsapp::errors::TABLE;

use crate::guarantees::world::{Script, World};

/// A code, what it does as an answer, and what it does as a receipt after `sent`.
type Expected = (i64, &'static str, &'static str);

const FAILED: &str = "failed(rejected:CODE)";
const HALTED: &str = "held(channel_halted)";
const HELD: &str = "held(provider_hold)";
const PAUSED: &str = "held(template_paused)";

const EXPECTED: &[Expected] = &[
    (0, HALTED, HALTED),
    (1, "retrying", "retrying"),
    (2, "retrying", "retrying"),
    (3, HALTED, HALTED),
    (4, "retrying", "retrying"),
    (10, HALTED, HALTED),
    (33, HALTED, HALTED),
    (100, FAILED, FAILED),
    (190, HALTED, HALTED),
    (200, HALTED, HALTED),
    (368, HALTED, HALTED),
    (80_007, "retrying", "retrying"),
    (130_429, "retrying", "retrying"),
    (130_472, FAILED, FAILED),
    (130_497, FAILED, FAILED),
    (131_000, "in_doubt", "retrying"),
    (131_005, HALTED, HALTED),
    (131_008, FAILED, FAILED),
    (131_009, FAILED, FAILED),
    (131_016, "retrying", "retrying"),
    (131_021, FAILED, FAILED),
    (131_026, FAILED, FAILED),
    (131_030, HALTED, HALTED),
    (131_031, HALTED, HALTED),
    (131_037, HALTED, HALTED),
    (131_042, HALTED, HALTED),
    (131_044, HALTED, HALTED),
    (131_045, HALTED, HALTED),
    // Said again as the approved template, once: here that is refused as well.
    (131_047, FAILED, "retrying"),
    (131_048, HALTED, HALTED),
    (131_049, HELD, HELD),
    (131_050, FAILED, FAILED),
    (131_051, FAILED, FAILED),
    (131_052, FAILED, FAILED),
    (131_053, FAILED, FAILED),
    (131_055, HALTED, HALTED),
    (131_056, "retrying", "retrying"),
    (131_057, "retrying", "retrying"),
    (131_062, FAILED, FAILED),
    (131_063, HALTED, HALTED),
    (131_064, HALTED, HALTED),
    (132_000, FAILED, FAILED),
    (132_001, FAILED, FAILED),
    (132_005, FAILED, FAILED),
    (132_007, FAILED, FAILED),
    (132_008, FAILED, FAILED),
    (132_012, FAILED, FAILED),
    (132_015, PAUSED, PAUSED),
    (132_016, FAILED, FAILED),
    (132_068, HELD, HELD),
    (132_069, "retrying", "retrying"),
    (133_000, HALTED, HALTED),
    (133_004, "retrying", "retrying"),
    (133_005, HALTED, HALTED),
    (133_008, HALTED, HALTED),
    (133_010, HALTED, HALTED),
    (133_015, HALTED, HALTED),
    (133_016, "retrying", "retrying"),
    (134_011, HALTED, HALTED),
    (134_100, FAILED, FAILED),
    (134_101, HELD, HELD),
    (134_102, HALTED, HALTED),
    (135_000, FAILED, FAILED),
    (137_000, FAILED, FAILED),
];

#[tokio::test]
async fn every_code_does_what_the_table_says_at_once_and_later() {
    for rule in TABLE {
        let code = *rule.codes.start();
        let row = EXPECTED.iter().find(|(known, _, _)| *known == code);
        let (_, at_once, later) = row.unwrap_or_else(|| panic!("{code} is expected to do nothing"));
        let world = World::new(Script::Refuse(code)).await;
        world.wait_long().await;
        world.sent_once().await;
        assert_eq!(world.state(), at_once.replace("CODE", &code.to_string()), "{code} as an answer");
        let world = World::new(Script::Accept).await;
        world.sent_once().await;
        world.fail_later(code).await;
        assert_eq!(world.state(), later.replace("CODE", &code.to_string()), "{code} as a receipt");
        assert_eq!(world.calls(), 1);
    }
    assert_eq!(TABLE.len(), EXPECTED.len());
}

#[tokio::test]
async fn an_unknown_code_ends_the_message_and_no_other() {
    let world = World::new(Script::Refuse(999_999)).await;
    world.sent_once().await;
    assert_eq!(world.state(), "failed(rejected:999999)");
    assert_eq!(world.items("PAUSE#"), 0);
}

#[tokio::test]
async fn a_pair_rate_lets_one_address_wait_and_the_numbers_rate_all() {
    for (code, of_channel) in [(131_056, false), (130_429, true), (190, true)] {
        let world = World::new(Script::Refuse(code)).await;
        world.sent_once().await;
        assert_eq!(world.items("PAUSE#whatsapp"), 1, "{code}");
        assert_eq!(world.channel_is_paused(), of_channel, "{code}");
    }
}

#[tokio::test]
async fn whoever_stops_marketing_gets_no_more_of_it() {
    let world = World::new(Script::Refuse(131_050)).await;
    world.sent_once().await;
    let stored = world.pipeline.stored_recipient(&world.tenant, &"ada".parse().unwrap()).await.unwrap();
    let preferences = serde_json::json!(stored.unwrap().preferences);
    assert_eq!(preferences, serde_json::json!({"categories": {"marketing": {"whatsapp": false}}}));
}

#[tokio::test]
async fn an_address_where_nobody_is_reached_three_times_is_suppressed() {
    let world = World::new(Script::Refuse(131_026)).await;
    for (number, suppressed) in [("1", 0), ("2", 0), ("3", 1)] {
        world.accept_numbered(number).await;
        world.fan_out().await.unwrap();
        world.deliver().await;
        assert_eq!(world.items("SUPPRESSED#whatsapp"), suppressed, "after {number}");
    }
}
