//! `cargo xtask sim --seeds N [--seed S]`: plays seeds of the simulation on every core. Prints the first seed that found
//! something with its story and exits 1; with `--seed` it plays that one alone and always tells its story.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use carillon_local::simulation::{Fault, Options, Outcome, Player};

const USAGE: &str = "Usage: simulate [--seeds N] [--from S] [--seed S]";

/// The longest story that is told.
const MOST_LINES: usize = 1_000;

/// The seeds to play, and whether one of them is to be told.
struct Request {
    from: u64,
    seeds: u64,
    told: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let request = match parse(&arguments) {
        Ok(request) => request,
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if request.told { tell(request.from) } else { play(&request) }
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut request = Request { from: 0, seeds: 1_000, told: false };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|text| text.replace('_', "").parse().ok());
        let value = value.ok_or_else(|| format!("{name} needs a whole number"))?;
        match name.as_str() {
            "--seeds" => request.seeds = value,
            "--from" => request.from = value,
            "--seed" => (request.from, request.seeds, request.told) = (value, 1, true),
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(request)
}

fn player() -> Result<Player, ExitCode> {
    Player::make().map_err(|problem| {
        eprintln!("what every run begins with cannot be stored: {problem:?}");
        ExitCode::FAILURE
    })
}

/// Plays one seed and tells what happened.
fn tell(seed: u64) -> ExitCode {
    let player = match player() {
        Ok(player) => player,
        Err(code) => return code,
    };
    let outcome = player.play(seed, Options { told: true, ..Options::default() });
    // A run that goes round in circles has a long story: its end says as much.
    let left_out = outcome.story.len().saturating_sub(MOST_LINES);
    if left_out > 0 {
        println!("({left_out} lines before these)");
    }
    for line in outcome.story.iter().skip(left_out) {
        println!("{line}");
    }
    println!("\nseed {seed}: {} steps, fingerprint {:016x}", outcome.steps, outcome.fingerprint);
    verdict(&outcome)
}

fn verdict(outcome: &Outcome) -> ExitCode {
    match &outcome.breach {
        None => {
            println!("Everything held.");
            ExitCode::SUCCESS
        }
        Some(breach) => {
            println!("BREACH: {breach}");
            ExitCode::FAILURE
        }
    }
}

fn play(request: &Request) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicU64::new(request.from);
    let end = request.from.saturating_add(request.seeds);
    let sums = Mutex::new(Sums::default());
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let failed = std::thread::scope(|scope| {
        let work = || -> Result<(), ExitCode> {
            let player = player()?;
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return Ok(());
                }
                let outcome = player.play(seed, Options::default());
                let broken = outcome.breach.is_some();
                sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take(outcome);
                if broken {
                    next.store(end, Ordering::Relaxed);
                }
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().any(|thread| !matches!(thread.join(), Ok(Ok(()))))
    });
    let sums = sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(seed) = sums.broken {
        return tell(seed);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rate = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / seconds;
    println!(
        "{} seeds in {seconds:.1} s on {workers} threads: {:.0} seeds/s, {} port calls, {} provider calls",
        sums.seeds,
        rate(sums.seeds),
        sums.steps,
        sums.calls
    );
    for (fault, count) in &sums.faults {
        println!("{count:>12}  {fault:?}");
    }
    ExitCode::from(u8::from(failed))
}

/// What all seeds came to.
#[derive(Default)]
struct Sums {
    seeds: u64,
    steps: u64,
    calls: usize,
    faults: BTreeMap<Fault, u64>,
    /// The smallest seed that found something.
    broken: Option<u64>,
}

impl Sums {
    fn take(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.calls += outcome.calls;
        for (fault, count) in outcome.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        if outcome.breach.is_some() {
            self.broken = Some(self.broken.map_or(outcome.seed, |seed| seed.min(outcome.seed)));
        }
    }
}
