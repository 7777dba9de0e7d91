//! `cargo run --release --bin load -- [events] [recipients] [kill every ms] [percent lost] [seconds of
//! posting]`: a load on `carillon dev` with an account of every delivery. Prints the rate; exits 1 when anything was lost or silently doubled.

#![expect(clippy::expect_used, reason = "a load that cannot go on ends here, saying why")]

use std::process::ExitCode;
use std::time::Duration;

use carillon_tests::load::{Load, run};

#[tokio::main]
async fn main() -> ExitCode {
    let number = |place: usize, default: usize| {
        std::env::args().nth(place).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let kill_ms = number(3, 0);
    let load = Load {
        events: number(1, 1_000),
        recipients: number(2, 10),
        posters: 16,
        spread: Duration::from_secs(number(5, 0) as u64),
        kill_every: (kill_ms > 0).then(|| Duration::from_millis(kill_ms as u64)),
        most_kills: usize::MAX,
        lost_percent: u32::try_from(number(4, 0)).expect("a percentage"),
    };
    let folder = std::env::temp_dir().join(format!("carillon-load-{}", std::process::id()));
    let account = run(load, &folder).await;
    std::fs::remove_dir_all(&folder).expect("the folder of the load goes");
    let seconds = account.took.as_secs_f64();
    println!(
        "{} events, {} deliveries in {seconds:.1} s: {:.0} deliveries/s; killed {} times; {} sent again; {:?}",
        account.events,
        account.deliveries,
        f64::from(u32::try_from(account.deliveries).unwrap_or(u32::MAX)) / seconds,
        account.kills,
        account.resent,
        account.states
    );
    for fault in &account.faults {
        println!("FAULT {fault}");
    }
    ExitCode::from(u8::from(!account.faults.is_empty()))
}
