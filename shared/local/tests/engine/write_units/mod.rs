//! The write budget: the pipeline itself on the metered model, with DynamoDB's units counted at each step, and the size
//! of a delivery's item, by which every one of its writes is paid.

pub(crate) mod world;

use carillon_domain::{Attempt, Channel, ReceiptKind, State};
use carillon_local::model::{Operation, item_size};
use serde_json::json;

use world::{Names, World};

/// What one write unit pays for, in bytes.
const UNIT: usize = 1_024;

#[tokio::test]
async fn an_event_stays_within_four_units() {
    for names in [Names::short(), Names::long()] {
        let world = World::with(&names, Channel::Whatsapp).await;
        world.accept().await;
        // The event's item, and its place in the log.
        let accepted = world.spent();
        world.fan_out().await;
        // Of these, three are the delivery's.
        let planned = world.spent() - 3;
        assert!(accepted + planned <= 4, "{accepted} for the event, {planned} for its plan");
    }
}

#[tokio::test]
async fn a_delivery_costs_five_units_until_it_is_sent_and_one_for_each_receipt() {
    for names in [Names::short(), Names::long()] {
        for channel in [Channel::Whatsapp, Channel::Email] {
            let world = World::with(&names, channel).await;
            world.accept().await;
            world.spent();
            world.fan_out().await;
            // The delivery's item, its place under the event and its place in the log; the event's plan, and that it was
            // begun.
            assert_eq!(world.spent(), 3 + 2, "{channel}: create");
            world.deliver().await;
            let tally = world.table.take_tally();
            // The claim and the result: a unit each, because neither moves the delivery in an index.
            assert_eq!(
                (tally.of(Operation::UpdateItem).calls, tally.total().write_units),
                (2, 2),
                "{channel}"
            );
            assert_eq!(world.delivery().1.state, State::Sent);
            for kind in [ReceiptKind::Delivered, ReceiptKind::Read] {
                world.receive(kind).await;
                assert_eq!(world.spent(), 1, "{channel}: {kind:?}");
            }
            assert_eq!(world.delivery().1.state, State::Read);
            world.receive(ReceiptKind::Read).await;
            assert_eq!(world.spent(), 0, "{channel}: a receipt that is known");
        }
    }
}

#[tokio::test]
async fn a_failure_costs_a_unit_more_for_its_place_among_failures() {
    // With names as long as can be the item is above 1 KB from here on.
    for (names, units) in [(Names::short(), 2), (Names::long(), 3)] {
        let world = World::with(&names, Channel::Whatsapp).await;
        world.accept().await;
        world.fan_out().await;
        world.deliver().await;
        world.spent();
        world.receive(ReceiptKind::Failed).await;
        assert_eq!((world.delivery().1.state.kind().as_str(), world.spent()), ("failed", units));
    }
}

#[tokio::test]
async fn an_in_app_delivery_costs_eight_units_and_is_delivered_at_once() {
    let world = World::with(&Names::short(), Channel::InApp).await;
    world.accept().await;
    world.spent();
    world.fan_out().await;
    assert_eq!(world.delivery().1.state, State::Delivered);
    let tally = world.table.take_tally();
    // One transaction, which pays twice for the table: the delivery 2 and its two places 1 + 1, the feed's item 2, the
    // unread count 2.
    assert_eq!(tally.of(Operation::TransactWriteItems).write_units, 8);
    assert_eq!(tally.of(Operation::PutItem).write_units, 2, "the event's plan, and that it was begun");
}

#[tokio::test]
async fn a_delivery_with_long_names_fits_into_one_unit_all_its_life() {
    let world = World::with(&Names::long(), Channel::Whatsapp).await;
    world.accept().await;
    world.fan_out().await;
    let mut sizes = vec![("pending", world.delivery_size())];
    sizes.push(("sending", world.deliver().await));
    sizes.push(("sent", world.delivery_size()));
    for kind in [ReceiptKind::Delivered, ReceiptKind::Read] {
        world.receive(kind).await;
        sizes.push((kind.as_str(), world.delivery_size()));
    }
    assert!(sizes.iter().all(|(_, size)| *size < UNIT), "{sizes:?}");
}

#[tokio::test]
async fn a_delivery_with_three_attempts_in_many_words_takes_at_most_two_units() {
    let world = World::with(&Names::long(), Channel::Whatsapp).await;
    world.accept().await;
    world.fan_out().await;
    let (key, _) = world.delivery();
    let mut item = world.table.items().remove(&key).unwrap();
    let attempt = json!({
        "s": 1_795_217_019_123_i64, "e": 1_795_217_019_456_i64, "o": "rejected", "h": 503, "c": "131000",
        "t": "A1b2C3d4E5f6G7h8I9j0K1l", "d": "x".repeat(Attempt::DETAIL_CHARS)
    });
    item.insert("attempts".to_owned(), json!({ "1": attempt, "2": attempt, "3": attempt }));
    let size = item_size(&key, &item);
    assert!(size < 2 * UNIT, "{size} bytes");
}
