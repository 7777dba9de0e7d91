//! What fan-out costs for one event to a large group: the pipeline itself on the metered model, at two sizes. Whatever is
//! paid or waited for must grow with the audience and no faster, and memory must not grow at all.
//!
//! The normal run compares 2,000 recipients with 8,000; `CARILLON_LARGE=100000` compares 2,000 with 100,000. The numbers
//! are printed, times among them; none of the times is judged.

#![cfg(test)]

mod watched;
mod world;

use peak_alloc::PeakAlloc;

use world::{Measured, World};

/// Counts the bytes that are in use, which is how the memory of one fan-out call is known.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What a recipient costs may differ by so much between two sizes: an event has a few writes and reads of its own.
const TOLERANCE: f64 = 0.02;

/// The larger size.
fn large() -> usize {
    std::env::var("CARILLON_LARGE").ok().and_then(|text| text.parse().ok()).unwrap_or(8_000)
}

#[tokio::test]
async fn fan_out_grows_with_the_audience_and_its_memory_does_not() {
    let (small, large) = (measured(2_000).await, measured(large()).await);
    for ((what, few), (_, many)) in small.costs().into_iter().zip(large.costs()) {
        let growth = many / few - 1.0;
        // Some reads are the event's own, so a small audience has more of them for each recipient.
        let level = growth >= -TOLERANCE || what == "reads";
        assert!(growth <= TOLERANCE && level, "{what} for each recipient: {few} and {many}");
    }
    // What one call of a port is given, or may answer, has the same bound at both sizes.
    assert_eq!(small.seen.largest, large.seen.largest);
    assert!(small.seen.largest.values().all(|items| *items <= 1_000), "{:?}", small.seen.largest);
    assert!(large.peak <= small.peak + small.peak / 10, "{} and {} bytes", small.peak, large.peak);
}

/// Fans one event out to a group of so many people on all channels, and prints what it took.
async fn measured(size: usize) -> Measured {
    let measured = World::with_group_of(size).await.fan_out_to_the_end().await;
    println!("{measured}");
    assert_eq!(measured.planned, u32::try_from(size * 3).unwrap());
    measured
}

#[tokio::test]
async fn a_group_is_one_list_by_id_whatever_its_shards() {
    let world = World::with_group_of(2_000).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = world.members(150, after).await;
        assert!(page.len() == 150 || next.is_none());
        seen.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..2_000).map(world::id).collect::<Vec<_>>());
    assert_eq!(world.count_members().await, 2_000);
    // None of the partitions has much more than its eighth.
    let counts = world.members_by_partition();
    assert_eq!(counts.len(), 8);
    assert!(counts.values().all(|count| (180..=320).contains(count)), "{counts:?}");
    let kept: Vec<_> = (1_000..1_010).map(world::id).collect();
    world.set_members(&kept).await;
    assert_eq!(world.members(100, None).await, (kept, None));
    assert_eq!(world.count_members().await, 10);
    world.delete_group().await;
    assert_eq!(world.members_by_partition().len(), 0);
}
