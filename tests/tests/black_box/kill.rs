//! `kill -9` of `carillon dev` in the middle of its work loses nothing and doubles nothing in silence, also when the
//! providers lose requests and answers.

use std::time::Duration;

use carillon_tests::load::{Account, Load, run};

const SMALL: Load = Load {
    events: 120,
    recipients: 3,
    spread: Duration::ZERO,
    posters: 4,
    kill_every: Some(Duration::from_secs(1)),
    most_kills: 15,
    lost_percent: 0,
};

async fn account(name: &str, load: Load) -> Account {
    let folder = std::env::temp_dir().join(format!("carillon-{name}-{}", std::process::id()));
    let account = run(load, &folder).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(account.kills >= 1, "{account:?}");
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_or_silently_doubled_by_kills() {
    let load = Load { events: 150, kill_every: Some(Duration::from_millis(400)), ..SMALL };
    let account = account("kill", load).await;
    assert_eq!(account.faults, Vec::<String>::new(), "{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_by_kills_while_the_providers_lose_a_tenth_of_the_calls() {
    let load = Load { lost_percent: 5, ..SMALL };
    let account = account("lossy", load).await;
    assert!(account.resent > 0, "{account:?}");
    assert_eq!(account.faults, Vec::<String>::new(), "{account:?}");
}
