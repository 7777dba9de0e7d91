//! Reminders on the in-memory model: three months of loans against an oracle, and what sweeping them costs.
//! The normal run has 150 loans; `CARILLON_LARGE=2000` has 2,000.

mod oracle;
mod world;

use std::collections::BTreeMap;

use carillon_domain::Timestamp;
use jiff::SignedDuration;
use oracle::{Form, Loan, expected};
use world::{Sent, World};

const START: &str = "2026-09-20T00:00:00Z";

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

fn loans() -> usize {
    std::env::var("CARILLON_LARGE").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % limit
    }

    /// An instant up to so many hours later; of calls, never on a whole second, so that none falls on a reminder.
    fn later(&mut self, from: Timestamp, within_hours: i64) -> Timestamp {
        let ms = 1 + self.below(within_hours * 3_600) * 1_000 + self.below(998);
        from + SignedDuration::from_millis(ms)
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

/// A loan of any class; some are extended, shortened or taken over, some are returned in time, some late, some never.
fn a_loan(number: usize, start: Timestamp, dice: &mut Dice) -> Loan {
    let since = dice.later(start, 80 * 24);
    let lasts = match number % 3 {
        0 => 1 + dice.below(24),
        1 => 25 + dice.below(6 * 24),
        _ => 169 + dice.below(20 * 24),
    };
    let whole = Timestamp::from_second(since.as_second()).unwrap();
    let due = |from: Timestamp, hours: i64, dice: &mut Dice| {
        from + SignedDuration::from_hours(hours) - SignedDuration::from_mins(dice.below(59))
    };
    let borrower = usize::try_from(dice.below(4)).unwrap();
    let mut forms = vec![Form { since, borrower, due_at: due(whole, lasts, dice) }];
    while dice.chance(35) {
        let last = forms.last().unwrap().clone();
        let since = dice.later(last.since, 2 * lasts);
        let moved = Form { since, ..last.clone() };
        forms.push(if dice.chance(70) {
            let from = Timestamp::from_second(since.as_second()).unwrap();
            let hours = 1 + dice.below(lasts);
            Form { due_at: due(from, hours, dice), ..moved }
        } else {
            Form { borrower: (last.borrower + 1) % 4, ..moved }
        });
    }
    let last = forms.last().unwrap();
    let returned_at = dice.chance(70).then(|| dice.later(last.since, lasts + 20 * 24));
    Loan { id: format!("EMP-{number}"), starts_at: whole, forms, returned_at }
}

/// What happens to a store.
#[derive(Debug, Clone, Copy)]
enum Step {
    Put { loan: usize, form: usize },
    Returned { loan: usize },
    Sweep { lane: &'static str, horizon: Timestamp },
}

/// The schedules of R14 to R17, each run planning as far as the one after the next, so that any one may fail to come.
fn sweeps(start: Timestamp, end: Timestamp, dice: &mut Dice) -> Vec<(Timestamp, Step)> {
    let mut steps = Vec::new();
    for (lane, minutes) in [("short", 30), ("medium", 12 * 60), ("long", 60), ("overdue", 15)] {
        let cadence = SignedDuration::from_mins(minutes);
        let (mut at, mut skipped) = (start, true);
        while at < end {
            let late = SignedDuration::from_secs(dice.below(60));
            let sweep = Step::Sweep { lane, horizon: at + late + cadence * 2 + SignedDuration::from_mins(2) };
            skipped = !skipped && dice.chance(15);
            if !skipped {
                steps.push((at + late, sweep));
                if dice.chance(15) {
                    steps.push((at + late + SignedDuration::from_millis(dice.below(90_000)), sweep));
                }
            }
            at += cadence;
        }
    }
    steps
}

/// Three months of loans, and everything that was sent.
async fn played(world: &World, loans: &[Loan], steps: Vec<(Timestamp, Step)>, end: Timestamp) -> Vec<Sent> {
    for (at, step) in steps {
        settled_until(world, at).await;
        match step {
            Step::Put { loan, form } => {
                let (loan, form) = (&loans[loan], &loans[loan].forms[form]);
                let borrower = format!("b{}", form.borrower);
                world.lend(&loan.id, &borrower, loan.starts_at, form.due_at).await;
            }
            Step::Returned { loan } => world.returned(&loans[loan].id).await,
            Step::Sweep { lane, horizon } => {
                let planned = world.sweep(&[lane], horizon).await;
                assert!(planned.failed == 0 && !planned.unfinished, "{planned:?}");
            }
        }
        world.settle().await;
    }
    settled_until(world, end).await;
    std::mem::take(&mut *world.sent.lock().unwrap())
}

/// Lets time pass, and everything that is due on the way happen at its instant.
async fn settled_until(world: &World, at: Timestamp) {
    while let Some(due) = world.next_due().await.filter(|due| *due <= at) {
        world.set(due.max(world.now()));
        world.settle().await;
    }
    world.set(at);
}

/// R7-R12, R14-R17, R26, R38: three months of loans of every class, in three zones whose clocks change both ways meanwhile,
/// moved, taken over and returned at any moment, with sweeps that are skipped, doubled and late: what is sent is what an
/// oracle expects, each at its instant, and nothing else.
#[tokio::test]
async fn three_months_of_loans_send_what_the_oracle_expects() {
    let world = World::at(START).await;
    let (start, mut dice) = (world.now(), Dice(20_260_920));
    let end = start + hours(90 * 24);
    let loans: Vec<Loan> = (0..loans()).map(|number| a_loan(number, start, &mut dice)).collect();
    let mut steps = sweeps(start, end, &mut dice);
    for (loan, history) in loans.iter().enumerate() {
        let forms = history.forms.iter().enumerate().map(|(form, f)| (f.since, Step::Put { loan, form }));
        steps.extend(forms);
        steps.extend(history.returned_at.map(|at| (at, Step::Returned { loan })));
    }
    steps.retain(|(at, _)| *at < end);
    steps.sort_by_key(|(at, _)| *at);
    let mut wanted = Vec::new();
    for loan in &loans {
        let mut known = loan.clone();
        known.returned_at = loan.returned_at.filter(|at| *at < end);
        known.forms.retain(|form| form.since < end);
        if !known.forms.is_empty() {
            wanted.extend(expected(&known, end));
        }
    }
    let mut sent = played(&world, &loans, steps, end).await;
    wanted.sort();
    sent.sort();
    let kinds = counted(&wanted);
    assert!(kinds.len() == 7 && kinds.values().all(|count| *count >= 10), "{kinds:?}");
    for (one, other) in sent.iter().zip(&wanted) {
        assert_eq!(one, other);
    }
    assert_eq!(sent.len(), wanted.len(), "{:?}", counted(&sent));
}

fn counted(sent: &[Sent]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for (_, template, ..) in sent {
        *counts.entry(template.as_str()).or_default() += 1;
    }
    counts
}

/// A sweep that comes later than a reminder is of use records it as expired; what is still of use is sent late, once.
#[tokio::test]
async fn a_sweep_that_comes_too_late_records_what_expired() {
    let world = World::at(START).await;
    let start = world.now();
    world.lend("EMP-1", "b0", start, start + hours(10)).await;
    world.settle().await;
    // Nothing runs from eight to eleven: the reminder of two hours before is over, the first warning is not.
    settled_until(&world, start + hours(11)).await;
    for _ in 0..2 {
        world.sweep(&[], start + hours(12)).await;
        world.settle().await;
    }
    let state = |kind: &str, state: &str, reason: Option<&str>| {
        (kind.to_owned(), state.to_owned(), reason.map(str::to_owned))
    };
    let expected = [state("overdue", "sent", None), state("two_hours", "expired", Some("past_expiry"))];
    assert_eq!(world.states("EMP-1"), expected);
}

/// What a sweep reads grows with what is due, not with what is open; and it lies in many partitions.
#[tokio::test]
async fn a_sweep_reads_what_is_due_and_not_what_is_open() {
    let mut spent = Vec::new();
    for open in [100, 1_000] {
        let world = World::at(START).await;
        let start = world.now();
        for n in 0..open {
            // Middle loans that are due in half a week; of forty the reminder is due within the hour.
            let due_in = if n < 40 { hours(27) } else { hours(90) };
            world.lend(&format!("EMP-{n}"), "b0", start, start + due_in).await;
        }
        world.settle().await;
        settled_until(&world, start + hours(24)).await;
        spread_evenly(&world, open);
        drop(world.table.take_tally());
        let planned = world.sweep(&["medium"], world.now() + hours(1)).await;
        assert_eq!((planned.deadlines, planned.reminders), (40, 40));
        spent.push(world.table.take_tally().total());
        let again = world.sweep(&["medium"], world.now() + hours(1)).await;
        assert_eq!((again.deadlines, again.reminders), (0, 0));
        // A read of each shard.
        assert!(world.table.take_tally().total().read_units <= 12.0);
    }
    assert!(spent[1].read_units <= spent[0].read_units + 1.0, "{spent:?}");
    assert!(spent[0].read_units <= 3.0 * 40.0, "{spent:?}");
    assert!(spent[1].write_units <= spent[0].write_units, "{spent:?}");
}

/// How many deadlines each partition of the lanes has: none has twice its share.
fn spread_evenly(world: &World, open: usize) {
    let mut shards: BTreeMap<String, usize> = BTreeMap::new();
    for (_, item) in world.table.items() {
        if let Some(place) =
            item.get("attention_pk").and_then(|pk| pk.as_str()).filter(|pk| pk.contains("REMIND"))
        {
            *shards.entry(place.to_owned()).or_default() += 1;
        }
    }
    assert_eq!((shards.len(), shards.values().sum::<usize>()), (8, open));
    assert!(shards.values().all(|count| *count <= open / 4), "{shards:?}");
}
