//! Posts every sample of a pack, then waits until each is where it is going to stay: receipts turn sent into delivered.

use std::time::Duration;

use carillon_domain::StateKind;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::{Played, Told};
use crate::client::{CallError, Client, encoded};
use crate::log::field;
use crate::outcome::Failure;
use crate::pack::{Expectation, Pack};

/// How long all samples of a pack may take together.
const WITHIN: Duration = Duration::from_mins(1);

/// How often the cloud is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many deliveries of one sample are looked at.
const LOOKED_AT: usize = 10_000;

/// Plays a pack; what did not come to rest in time is told as it is then.
pub(super) async fn play<'a>(
    client: &Client,
    pack: &'a Pack,
) -> Result<(Vec<Played<'a>>, Duration), Failure> {
    let started = Instant::now();
    let mut played = Vec::new();
    for sample in &pack.samples {
        let accepted =
            client.post("/v1/events", &sample.event).await.map_err(|error| refused(sample, error))?;
        let event_id = field(&accepted, "event_id");
        played.push(Played { sample, event_id, told: Vec::new(), faults: Vec::new() });
    }
    let bar = progress(pack);
    let mut at_rest = vec![false; played.len()];
    loop {
        for (played, at_rest) in played.iter_mut().zip(&mut at_rest).filter(|(_, at_rest)| !**at_rest) {
            *at_rest = look(client, played).await?;
        }
        bar.set_position(played.iter().map(|p| resting(p).count() as u64).sum());
        if at_rest.iter().all(|rest| *rest) || started.elapsed() >= WITHIN {
            bar.finish_and_clear();
            return Ok((played, started.elapsed()));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Reads a sample's deliveries; whether all that were planned are there and rest.
async fn look(client: &Client, played: &mut Played<'_>) -> Result<bool, CallError> {
    let path = format!("/v1/events/{}", encoded(&played.event_id));
    let planned = client.get(&path).await?["planned"].as_u64();
    let Some(planned) = planned else { return Ok(false) };
    let items = client.list(&format!("{path}/deliveries"), &[], LOOKED_AT).await?;
    let told: Result<Vec<Told>, _> = items.into_iter().map(serde_json::from_value).collect();
    played.told =
        told.map_err(|_| CallError::Unreadable { call: format!("GET {path}/deliveries"), status: 200 })?;
    // Planning goes on beside us, and an index may lag behind it.
    let all_there = played.told.len() as u64 >= planned;
    Ok(all_there && resting(played).count() == played.told.len())
}

fn resting<'a>(played: &'a Played<'_>) -> impl Iterator<Item = &'a Told> {
    played
        .told
        .iter()
        .filter(|told| rests(told.state, expected(&played.sample.expect, told).map(|e| e.state)))
}

fn expected<'a>(expect: &'a [Expectation], told: &Told) -> Option<&'a Expectation> {
    expect.iter().find(|e| e.recipient == told.recipient_id && e.channel == told.channel)
}

/// Where it should be, or where no move leads there any more; without an expectation, where nothing has to follow.
fn rests(state: StateKind, expected: Option<StateKind>) -> bool {
    match expected {
        Some(expected) => state == expected || !leads_to(state, expected, &mut Vec::new()),
        None => matches!(state, StateKind::Sent) || !leads_to(state, StateKind::Sent, &mut Vec::new()),
    }
}

fn leads_to(from: StateKind, to: StateKind, seen: &mut Vec<StateKind>) -> bool {
    if seen.contains(&from) {
        return false;
    }
    seen.push(from);
    from.may_become(to)
        || StateKind::ALL.into_iter().any(|next| from.may_become(next) && leads_to(next, to, seen))
}

/// Drawn on a terminal only.
fn progress(pack: &Pack) -> ProgressBar {
    let expected: usize = pack.samples.iter().map(|sample| sample.expect.len()).sum();
    let bar = ProgressBar::new(expected as u64).with_prefix(pack.name.clone());
    match ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} messages") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn refused(sample: &crate::pack::Sample, error: CallError) -> Failure {
    match error {
        CallError::Refused { problem, .. } => {
            Failure::Fault(format!("{}: the event is refused: {problem}", sample.file.display()))
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_rests_where_it_is_expected_or_where_nothing_can_follow() {
        use StateKind::{Delivered, Failed, Held, Pending, Sent};
        for (state, expected, rest) in [
            (Sent, Some(Delivered), false),
            (Delivered, Some(Delivered), true),
            (Failed, Some(Delivered), true),
            (Held, Some(Held), true),
            (Held, Some(Delivered), false),
            (Delivered, Some(Sent), true),
            (Delivered, Some(Held), true),
            (Delivered, None, true),
            (Failed, None, true),
            (Pending, None, false),
            (Sent, None, true),
        ] {
            assert_eq!(rests(state, expected), rest, "{state} {expected:?}");
        }
    }
}
