//! Pacing on the in-memory model, with time that jumps to the next thing that is due: what is urgent does not wait behind a
//! large audience, the rate of the channel is never exceeded, everything leaves in the end, and what that costs in writes.
//!
//! The normal run has 2,000 others; `CARILLON_LARGE=100000` has 100,000.

mod world;

use carillon_domain::Priority;

use world::World;

/// How many are told before the urgent one.
fn others() -> usize {
    std::env::var("CARILLON_LARGE").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[tokio::test]
async fn a_critical_message_behind_a_large_audience_leaves_within_ten_seconds() {
    let others = others();
    let world = World::paced_with_group_of(others).await;
    world.fan_out("news", "Everybody", Priority::Normal).await;
    world.run_for(30).await;
    let before = world.calls().len();
    assert!(before < others, "nobody is left to wait behind");
    world.fan_out("alarm", "Few", Priority::Critical).await;
    world.run_for(10).await;
    let urgent = world.calls().iter().filter(|call| call.template == "alarm").count();
    assert_eq!(urgent, 10, "of 10 critical ones");
}

#[tokio::test]
async fn the_rate_is_never_exceeded_and_everybody_is_told() {
    let world = World::paced_with_group_of(2_000).await;
    world.fan_out("news", "Everybody", Priority::Low).await;
    world.fan_out("alarm", "Few", Priority::High).await;
    world.run_for(40).await;
    let calls = world.calls();
    assert_eq!(calls.len(), 2_010);
    let at: Vec<i64> = calls.iter().map(|call| call.at.as_millisecond()).collect();
    for (from, start) in at.iter().enumerate() {
        let within = at[from..].iter().take_while(|later| **later < start + 1_000).count();
        // One more for each lane, whose slots need not begin together.
        assert!(within <= 80 + 2, "{within} in the second from {start}");
    }
    // Four fifths of 80 a second, and what was urgent beside them.
    let took_s = (at[at.len() - 1] - at[0]) / 1_000;
    assert!((25..=33).contains(&took_s), "{took_s} s");
}

/// A slot within a minute costs nothing but its share of the reservation; a later one is a wait as any other.
#[tokio::test]
async fn a_paced_delivery_costs_a_hundredth_of_a_write_more_and_five_when_it_waits_longer_than_a_minute() {
    let world = World::paced_with_group_of(1_000).await;
    world.rate(100).await;
    world.spent();
    world.fan_out("news", "Everybody", Priority::Normal).await;
    // Three for each delivery, one for each page of 100; and the event: two, the note that its
    // fan-out has begun, and its plan.
    assert_eq!(world.spent(), 3 * 1_000 + 10 + 4);
    world.run_for(20).await;
    assert_eq!((world.calls().len(), world.spent()), (1_000, 2 * 1_000));

    let world = World::paced_with_group_of(10).await;
    world.pause_for(90).await;
    world.spent();
    world.fan_out("news", "Everybody", Priority::Normal).await;
    // Held: a place among what is due.
    assert_eq!(world.spent(), 4 * 10 + 1 + 4);
    world.run_for(120).await;
    // Out of that place and in again, and out with the claim; the answer.
    assert_eq!((world.calls().len(), world.spent()), (10, (3 + 2 + 1) * 10));
}
