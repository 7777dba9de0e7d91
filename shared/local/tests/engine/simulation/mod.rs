//! The simulation holds what it promises: its seeds find nothing, replay exactly, play alike on the DynamoDB adapter,
//! meet every fault and most states; and each broken build is found. `CARILLON_SEED=<n>` tells one seed's story.

mod broken;
mod on_dynamo;

use std::collections::{BTreeMap, BTreeSet};

use carillon_local::simulation::{Fault, Options, Player};

/// Plays seeds that must find nothing.
fn play(from: u64, seeds: u64) {
    let player = Player::make().unwrap();
    for seed in from..from + seeds {
        let outcome = player.play(seed, Options::default());
        if let Some(breach) = outcome.breach {
            let told = player.play(seed, Options { told: true, ..Options::default() });
            panic!("seed {seed}: {breach}\n{}", told.story.join("\n"));
        }
    }
}

// Two thousand seeds, in eight parts that run side by side.
macro_rules! parts {
    ($($name:ident: $from:literal;)+) => { $(#[test] fn $name() { play($from, 250); })+ };
}

parts! {
    seeds_0_to_249_find_nothing: 0;
    seeds_250_to_499_find_nothing: 250;
    seeds_500_to_749_find_nothing: 500;
    seeds_750_to_999_find_nothing: 750;
    seeds_1000_to_1249_find_nothing: 1_000;
    seeds_1250_to_1499_find_nothing: 1_250;
    seeds_1500_to_1749_find_nothing: 1_500;
    seeds_1750_to_1999_find_nothing: 1_750;
}

#[test]
fn a_seed_replays_exactly_and_another_does_not() {
    let (one, other) = (Player::make().unwrap(), Player::make().unwrap());
    let mut fingerprints = BTreeSet::new();
    for seed in 0..15 {
        let first = one.play(seed, Options::default());
        let told = other.play(seed, Options { told: true, ..Options::default() });
        assert_eq!((first.fingerprint, first.steps), (told.fingerprint, told.steps), "seed {seed}");
        assert!(first.story.is_empty() && !told.story.is_empty());
        fingerprints.insert(first.fingerprint);
    }
    assert_eq!(fingerprints.len(), 15);
}

#[test]
fn every_fault_strikes_and_deliveries_come_to_every_end() {
    let player = Player::make().unwrap();
    let (mut struck, mut states) = (BTreeMap::<Fault, u64>::new(), BTreeSet::new());
    for seed in 0..400 {
        let outcome = player.play(seed, Options::default());
        for (fault, count) in outcome.faults {
            *struck.entry(fault).or_default() += count;
        }
        states.extend(outcome.states);
    }
    let never: Vec<&Fault> = Fault::ALL.iter().filter(|fault| !struck.contains_key(fault)).collect();
    assert!(never.is_empty(), "never struck: {never:?}");
    for state in [
        "pending",
        "sending",
        "retrying",
        "in_doubt",
        "in_doubt(parked)",
        "sent",
        "delivered",
        "read",
        "held(channel_halted)",
        "held(provider_hold)",
        "held(switched_off)",
        "held(pacing)",
        "held(window_closed)",
        "cancelled(cancelled_by)",
        "skipped(switched_off)",
        "expired(window_closed)",
        "failed(attempts_exhausted)",
        "failed(rejected:131026)",
        "failed(bounced)",
        "expired(past_expiry)",
        "skipped(opted_out)",
        "skipped(inactive)",
        "skipped(no_address)",
        "skipped(already_told)",
    ] {
        assert!(states.contains(state), "no delivery was {state}; there were {states:?}");
    }
}

#[test]
fn a_seed_can_be_told() {
    let Ok(seed) = std::env::var("CARILLON_SEED") else { return };
    let told =
        Player::make().unwrap().play(seed.parse().unwrap(), Options { told: true, ..Options::default() });
    println!("{}\n{:?}", told.story.join("\n"), told.breach);
    assert_eq!(told.breach, None);
}
