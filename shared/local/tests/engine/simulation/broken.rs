//! Broken builds: for each guarantee one that does not have it. The simulation finds every one of them, or its silence
//! about the real build would mean nothing.

use carillon_local::simulation::{Mutation, Options, Player};

/// Within so many seeds each broken build is found.
const SEEDS: u64 = 800;

fn is_found(mutation: Mutation, word: &str) {
    let player = Player::make().unwrap();
    let broken = Options { mutation: Some(mutation), told: false };
    let breach = (0..SEEDS).find_map(|seed| Some((seed, player.play(seed, broken).breach?)));
    let (seed, breach) = breach.unwrap_or_else(|| panic!("{mutation:?} is not found within {SEEDS} seeds"));
    println!("{mutation:?}: seed {seed}: {breach}");
    assert!(breach.contains(word), "{mutation:?} was found as something else, by seed {seed}: {breach}");
}

macro_rules! broken {
    ($($name:ident: $mutation:ident, $word:literal;)+) => {
        $(#[test] fn $name() { is_found(Mutation::$mutation, $word); })+

        #[test]
        fn every_broken_build_has_its_test() {
            let tested = [$(Mutation::$mutation),+];
            for mutation in Mutation::ALL {
                assert!(tested.contains(&mutation), "{mutation:?}");
            }
        }
    };
}

broken! {
    a_table_that_ignores_revisions_is_found: RevisionsIgnored, "another write is lost";
    a_table_that_ignores_absence_is_found: AbsenceIgnored, "another write is lost";
    a_claim_that_is_not_written_is_found: ClaimNotWritten, "not recorded before";
    a_result_that_is_not_written_is_found: ResultNotWritten, "is lost";
    an_event_that_is_not_written_is_found: EventNotWritten, "there is no event";
    leases_that_are_ignored_are_found: LeasesIgnored, "is made while it is";
    an_expiry_that_is_ignored_is_found: ExpiryIgnored, "after it expired";
    a_provider_client_that_repeats_is_found: ProviderRepeats, "is made twice";
    a_message_deleted_before_its_work_is_found: DeletedBeforeWork, "never planned";
    receipts_that_miss_their_delivery_are_found: ReceiptsUnmatched, "misses its delivery";
    a_resend_that_is_not_counted_is_found: ResendsNotCounted, "not counted";
    parking_that_is_ignored_is_found: ParkingIgnored, "policy that forbids it";
    tries_that_are_not_counted_are_found: TriesNotCounted, "tries that failed";
    an_opt_out_that_is_ignored_is_found: OptOutsIgnored, "opted out";
    a_sweep_that_never_runs_is_found: SweepsNever, "stays";
    an_end_that_is_taken_back_is_found: EndsTakenBack, "not legal";
    a_kill_switch_that_is_ignored_is_found: SwitchesIgnored, "after it was stopped";
    an_event_that_is_not_really_taken_back_is_found: CancelNotWritten, "its event was taken back";
    free_text_after_its_window_is_found: WindowsStayOpen, "its reader's window is closed";
}
