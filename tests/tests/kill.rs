//! `kill -9` of `carillon dev` in the middle of its work loses nothing and doubles nothing in silence.

use std::time::Duration;

use carillon_tests::load::{Load, run};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_or_silently_doubled_by_kills() {
    let folder = std::env::temp_dir().join(format!("carillon-kill-{}", std::process::id()));
    let load = Load { events: 150, recipients: 3, posters: 4, kill_every: Some(Duration::from_millis(400)) };
    let account = run(load, &folder).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(account.kills >= 1, "{account:?}");
    assert_eq!(account.faults, Vec::<String>::new(), "{account:?}");
}
