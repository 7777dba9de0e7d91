//! sweep-health: reads what each tenant's counters say, compares it with the readings of before, and judges it by the pure
//! checks of `carillon_domain::health`. What is found opens, changes and ends problems ([`crate::problems`]). Nothing is
//! scanned, and no delivery is read.

use carillon_domain::counters::{Counters, day_of};
use carillon_domain::credits::CreditLevel;
use carillon_domain::health::{Finding, Reading, Severity, Snapshot, checks};
use carillon_domain::{Channel, HeldReason, Principal, Problem, Scope, Sweep, TenantId, Timestamp};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::StoreError;
use crate::store::credits::Bounds;
use crate::store::dead_letters::DeadLetterRange;
use crate::store::{from_item, keys};
use crate::work::WorkError;

/// How many days of counters a reading sums: a delivery lives for three, unless it is said otherwise.
const DAYS: i64 = 4;

/// How old the deliveries are that are still compared.
const MOST_DAYS: i64 = 2 * DAYS + 1;

/// Somewhat less than the time between two runs: a run compares with the one before.
const A_RUN_AGO: SignedDuration = SignedDuration::from_mins(4);

const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// So long every reading is kept; of older ones one for each hour.
const KEPT_IN_FULL: SignedDuration = SignedDuration::from_mins(70);

/// How many dead letters are counted.
const LETTERS: usize = 100;

/// What came of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watched {
    /// Tenants that were looked at.
    pub tenants: u32,
    /// Problems that were opened.
    pub opened: u32,
    /// Problems that are over.
    pub resolved: u32,
    /// Problems that are open now.
    pub open: u32,
}

impl Pipeline {
    /// Looks after every tenant.
    ///
    /// # Errors
    /// When the store or a queue cannot be reached for one of them; the others are looked after.
    pub async fn sweep_health(&self) -> Result<Watched, WorkError> {
        let (mut sum, mut failed, mut after) = (Watched::default(), None, None);
        loop {
            let (tenants, next) = self.tenants(after).await?;
            for tenant in &tenants {
                match self.watch(tenant).await {
                    Ok(watched) => {
                        sum.tenants += 1;
                        sum.opened += watched.opened;
                        sum.resolved += watched.resolved;
                        sum.open += watched.open;
                    }
                    Err(error) => {
                        tracing::warn!(tenant.id = %tenant, error = %error, "its health is left for the next run");
                        failed = Some(error);
                    }
                }
            }
            if next.is_none() {
                break;
            }
            after = next;
        }
        self.note_sweep(Sweep::Health, self.now()).await?;
        failed.map_or(Ok(sum), |error| Err(error.into()))
    }

    /// Looks after one tenant.
    pub(crate) async fn watch(&self, tenant: &TenantId) -> Result<Watched, StoreError> {
        // However late this run is: now it runs.
        let others: Vec<Sweep> = Sweep::ALL.into_iter().filter(|sweep| *sweep != Sweep::Health).collect();
        let (findings, readings) = self.examined(tenant, &others).await?;
        if let Some(readings) = readings {
            self.put_health_readings(tenant, readings).await?;
        }
        self.follow(tenant, &findings).await
    }

    /// What there is to say about a tenant now, and the readings to keep, if they have changed.
    async fn examined(
        &self,
        tenant: &TenantId,
        sweeps: &[Sweep],
    ) -> Result<(Vec<Finding>, Option<Vec<Reading>>), StoreError> {
        let asked_at = self.clock.now();
        let mut readings = self.health_readings(tenant).await?;
        let database_ms = self.clock.now().as_millisecond() - asked_at.as_millisecond();
        let limits = self.settings(tenant).await?.thresholds;
        let now = self.now();
        let today = day_of(now);
        let counters = self.counters(tenant, (today - MOST_DAYS, today)).await?;
        let since = |ago: SignedDuration| {
            let before = before(&readings, plus(now, -ago), today);
            (Reading::of(&counters, now, before.first_day), before)
        };
        let letters = self.dead_letters(tenant, &DeadLetterRange::default(), LETTERS, None).await?;
        let bounds = self.bounds(tenant).await?;
        let credits = if bounds.credits.is_some() { self.stored_credits(tenant).await? } else { None };
        let snapshot = Snapshot {
            database_ms,
            success: since(SignedDuration::from_secs(limits.success_rate_s.into())),
            day: since(A_DAY),
            stuck: since(SignedDuration::from_secs(limits.stuck_after_s.into())),
            run: since(A_RUN_AGO),
            halted: self.halted_channels(tenant).await?,
            dead_letters: count(letters.0.iter().filter(|letter| letter.redriven_at.is_none()).count()),
            more_dead_letters: letters.1.is_some(),
            credits,
            late_sweeps: self.late_sweeps(sweeps).await?,
            refused_templates: self.refused_templates(tenant).await?,
        };
        let changed = keep(&mut readings, &counters, now, today);
        Ok((checks(&snapshot, &limits), changed.then_some(readings)))
    }

    async fn halted_channels(&self, tenant: &TenantId) -> Result<Vec<Channel>, StoreError> {
        let channels = [Channel::Whatsapp, Channel::Email];
        let pauses = channels.map(|channel| keys::channel_pause(tenant, channel));
        let mut halted = Vec::new();
        for (channel, item) in channels.into_iter().zip(self.table.get_many(&pauses).await?) {
            let pause = Self::paused(item, self.now())?;
            halted.extend(pause.filter(|pause| pause.reason == HeldReason::ChannelHalted).map(|_| channel));
        }
        Ok(halted)
    }

    /// How a tenant is: each check with what it says, and the problem that is open for it. Who looks after the platform is
    /// also told how many tenants have low credits.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub async fn health_view(&self, caller: &Principal) -> Result<Value, Problem> {
        let tenant = &caller.tenant;
        let (findings, _) = self.examined(tenant, &Sweep::ALL).await?;
        let open = self.marked_problems(tenant).await?;
        let mut worst = Severity::Ok;
        let mut shown = Vec::new();
        for finding in &findings {
            let problem = open.get(&finding.key()).filter(|problem| problem.resolved_at.is_none());
            let severity = finding.severity.or(problem.map(|p| p.severity)).unwrap_or(Severity::Ok);
            worst = worst.max(severity);
            let mut check = json!({
                "name": finding.check, "tenant": tenant, "value": finding.value, "threshold": finding.threshold,
                "severity": severity, "text": finding.text,
            });
            if let Some(channel) = finding.channel {
                check["channel"] = json!(channel);
            }
            if let Some(problem) = problem {
                check["problem_id"] = json!(problem.id);
            }
            shown.push(check);
        }
        if caller.may(Scope::Platform) {
            let low = self.tenants_low_on_credits().await?;
            let severity = if low > 0 { Severity::Warning } else { Severity::Ok };
            worst = worst.max(severity);
            let tenants = if low == 1 { "1 tenant has".to_owned() } else { format!("{low} tenants have") };
            shown.push(json!({
                "name": "tenants_low_on_credits", "value": low, "threshold": 0, "severity": severity,
                "text": format!("{tenants} low credits"),
            }));
        }
        Ok(json!({"status": worst, "checks": shown}))
    }

    async fn tenants_low_on_credits(&self) -> Result<i64, StoreError> {
        let (mut low, mut after) = (0, None);
        loop {
            let (tenants, next) = self.tenants(after).await?;
            let bounds: Vec<_> = tenants.iter().map(keys::bounds).collect();
            for (tenant, item) in tenants.iter().zip(self.table.get_many(&bounds).await?) {
                let bounds: Bounds = item.map(from_item).transpose()?.unwrap_or_default();
                if bounds.credits.is_none() {
                    continue;
                }
                let credits = self.stored_credits(tenant).await?;
                low += i64::from(credits.is_some_and(|credits| credits.level() > CreditLevel::Ok));
            }
            if next.is_none() {
                return Ok(low);
            }
            after = next;
        }
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What the counters said at an instant: the last reading up to then, because nothing changed where there is none. What was
/// not read, or is too old to be compared, was nothing.
fn before(readings: &[Reading], at: Timestamp, today: i64) -> Reading {
    let nothing = |first_day| Reading { at, first_day, channels: std::collections::BTreeMap::new() };
    match readings.iter().rev().find(|reading| reading.at <= at) {
        Some(reading) if reading.first_day >= today - MOST_DAYS => reading.clone(),
        Some(_) => nothing(today - DAYS),
        None => nothing(today - 1),
    }
}

/// Adds a reading, if it says something new, and drops those that nobody compares with any more. Answers whether there is
/// anything to store.
fn keep(readings: &mut Vec<Reading>, counters: &Counters, now: Timestamp, today: i64) -> bool {
    let reading = Reading::of(counters, now, today - DAYS);
    if readings.last().map_or(reading.channels.is_empty(), |last| last.channels == reading.channels) {
        return false;
    }
    readings.push(reading);
    let (in_full, oldest) = (plus(now, -KEPT_IN_FULL), plus(now, -A_DAY));
    let hour = |reading: &Reading| reading.at.as_second().div_euclid(3_600);
    let mut kept: Vec<Reading> = Vec::new();
    for reading in readings.drain(..).rev() {
        let newer = kept.last();
        // One that is as old as anybody asks for says what there was before it.
        if newer.is_some_and(|newer| newer.at <= oldest) {
            break;
        }
        if reading.at > in_full
            || newer.is_none_or(|newer| newer.at > in_full || hour(newer) != hour(&reading))
        {
            kept.push(reading);
        }
    }
    kept.reverse();
    *readings = kept;
    true
}

#[cfg(test)]
mod tests {
    use carillon_domain::counters::{Counts, Place};

    use super::*;

    fn counters(day: i64, failed: i64) -> Counters {
        let mut counts = Counts::default();
        counts.add("state:failed", failed);
        let place: Place = format!("{day:06}#email#transactional#order.created#order").parse().unwrap();
        let mut counters = Counters::default();
        counters.add(place, &counts);
        counters
    }

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(20_000 * 86_400 + minute * 60).unwrap()
    }

    #[test]
    fn a_week_of_runs_keeps_few_readings_and_each_period_is_right_to_an_hour() {
        let mut readings = Vec::new();
        for run in 0..7 * 288 {
            let now = minute(run * 5);
            let day = day_of(now);
            keep(&mut readings, &counters(day, run + 1), now, day);
        }
        assert!(readings.len() <= 45, "{}", readings.len());
        let (last, now) = (7 * 288 - 1, minute((7 * 288 - 1) * 5));
        let failed_at = |ago_min: i64| {
            before(&readings, plus(now, -SignedDuration::from_mins(ago_min)), day_of(now))
                .tally(Channel::Email)
                .failed
        };
        assert_eq!(failed_at(5), last);
        assert_eq!(failed_at(60), last - 11);
        let day_ago = failed_at(24 * 60);
        assert!((last - 287 - 13..=last - 287).contains(&day_ago), "{day_ago} of {last}");
    }

    #[test]
    fn nothing_is_stored_while_nothing_changes_and_what_is_long_ago_is_not_compared() {
        let mut readings = Vec::new();
        let (now, today) = (minute(0), 20_000);
        assert!(!keep(&mut readings, &Counters::default(), now, today));
        assert!(keep(&mut readings, &counters(today, 3), now, today));
        assert!(!keep(&mut readings, &counters(today, 3), minute(5), today));
        assert_eq!(before(&readings, minute(60), today).tally(Channel::Email).failed, 3);
        assert_eq!(before(&readings, minute(-1), today).first_day, today - 1);
        assert_eq!(before(&readings, minute(20 * 1_440), today + 20).tally(Channel::Email).failed, 0);
    }
}
