//! What was sent, as numbers: read from the counters that `statistics.rs` writes, grouped as the caller asks. No delivery is
//! read. Days are in UTC; a delivery counts on the day that it was planned.

use std::collections::BTreeMap;

use carillon_domain::counters::{Counts, Place, day_of};
use carillon_domain::{Cost, FieldError, Problem, StateKind, TenantId, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::context::Pipeline;

/// How many days are answered when the caller does not say, today included.
const DAYS: i64 = 30;

/// How many days one call reads at most.
const MOST_DAYS: i64 = 400;

const DAY_S: i64 = 86_400;

/// The bound of a period: an instant, or a date, which begins at midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound(Timestamp);

impl std::str::FromStr for Bound {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let midnight = |date: Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
        let instant = text.parse::<Timestamp>().or_else(|_| text.parse::<Date>().and_then(midnight));
        instant.map(Self).map_err(|_| ())
    }
}

/// What counts are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The day.
    Day,
    /// The channel.
    Channel,
    /// The category.
    Category,
    /// The type of the event.
    EventType,
    /// The template.
    Template,
    /// The state that the deliveries are in now.
    State,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Day, Self::Channel, Self::Category, Self::EventType, Self::Template, Self::State];

    /// Its name in queries and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Channel => "channel",
            Self::Category => "category",
            Self::EventType => "event_type",
            Self::Template => "template",
            Self::State => "state",
        }
    }

    /// What it is of a place; none for a state, which is not the place's.
    fn of(self, place: &Place) -> Option<String> {
        Some(match self {
            Self::Day => date_of(place.day),
            Self::Channel => place.channel.as_str().to_owned(),
            Self::Category => place.category.as_str().to_owned(),
            Self::EventType => place.event_type.to_string(),
            Self::Template => place.template.as_ref().map(ToString::to_string).unwrap_or_default(),
            Self::State => return None,
        })
    }
}

/// Dimensions with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct By(Vec<Dimension>);

impl std::str::FromStr for By {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named = |name: &str| Dimension::ALL.into_iter().find(|d| d.as_str() == name).ok_or(());
        let mut by: Vec<Dimension> =
            text.split(',').filter(|name| !name.is_empty()).map(named).collect::<Result<_, _>>()?;
        by.sort_unstable();
        by.dedup();
        Ok(Self(by))
    }
}

/// What numbers are wanted.
#[derive(Debug, Clone, Default)]
pub struct StatsWanted {
    /// From the day of this instant on.
    pub from: Option<Bound>,
    /// Before this instant; the whole of its day, unless it is its first moment.
    pub to: Option<Bound>,
    /// How they are grouped.
    pub by: By,
}

impl StatsWanted {
    /// The first and the last day.
    fn days(&self, now: Timestamp) -> Result<(i64, i64), Problem> {
        let last = match self.to {
            Some(Bound(to)) => (to.as_millisecond() - 1).div_euclid(DAY_S * 1_000),
            None => day_of(now),
        };
        let first = self.from.map_or(last - DAYS + 1, |Bound(from)| day_of(from));
        if first > last {
            return Err(FieldError::new("/to", "must be later than from").into());
        }
        if last - first >= MOST_DAYS {
            return Err(FieldError::new("/from", format!("is more than {MOST_DAYS} days before to")).into());
        }
        Ok((first, last))
    }
}

impl Pipeline {
    /// The numbers of a tenant.
    ///
    /// # Errors
    /// 422 for a period that cannot be.
    pub async fn stats(&self, tenant: &TenantId, wanted: &StatsWanted) -> Result<Value, Problem> {
        let (first, last) = wanted.days(self.now())?;
        let counters = self.counters(tenant, (first, last)).await?;
        let mut rows: BTreeMap<Vec<String>, Counts> = BTreeMap::new();
        let mut total = Counts::default();
        let by_state = wanted.by.0.contains(&Dimension::State);
        for (place, counts) in counters.iter() {
            total.add_all(counts, 1);
            let group: Vec<String> = wanted.by.0.iter().filter_map(|d| d.of(place)).collect();
            if by_state {
                for (state, of_state) in states(counts) {
                    let group = [group.as_slice(), &[state.to_owned()]].concat();
                    rows.entry(group).or_default().add_all(&of_state, 1);
                }
            } else {
                rows.entry(group).or_default().add_all(counts, 1);
            }
        }
        let items: Vec<Value> = rows
            .into_iter()
            .map(|(group, counts)| {
                let named =
                    wanted.by.0.iter().zip(group).map(|(d, value)| (d.as_str().to_owned(), value.into()));
                let numbers = if by_state { of_state_json(&counts) } else { numbers_json(&counts) };
                Value::Object(named.chain(numbers).collect())
            })
            .collect();
        let names: Vec<&str> = wanted.by.0.iter().map(|d| d.as_str()).collect();
        Ok(json!({
            "from": date_of(first),
            "to": date_of(last + 1),
            "by": names,
            "items": items,
            "total": Value::Object(numbers_json(&total)),
        }))
    }
}

/// A day as a date.
fn date_of(day: i64) -> String {
    let at = Timestamp::from_second(day * DAY_S).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// The counts of each state, with its own reasons.
fn states(counts: &Counts) -> Vec<(&str, Counts)> {
    let each = counts.under("state:").map(|(state, n)| {
        let mut own = Counts::default();
        own.add("planned", n);
        for (reason, n) in
            counts.under("reason:").filter(|(reason, _)| reason.split('(').next() == Some(state))
        {
            own.add(format!("reason:{reason}"), n);
        }
        (state, own)
    });
    each.collect()
}

fn of_state_json(counts: &Counts) -> Map<String, Value> {
    let reasons: Map<String, Value> =
        counts.under("reason:").map(|(name, n)| (name.to_owned(), n.into())).collect();
    [("count".to_owned(), counts.get("planned").into()), ("reasons".to_owned(), reasons.into())]
        .into_iter()
        .collect()
}

/// The numbers of a group.
fn numbers_json(counts: &Counts) -> Map<String, Value> {
    use StateKind as K;
    let state = |kind: K| counts.get(&format!("state:{kind}"));
    let waiting: i64 =
        [K::Pending, K::Held, K::Sending, K::Retrying, K::InDoubt].into_iter().map(state).sum();
    let mut numbers = of_state_json(counts);
    let mut put = |name: &str, value: Value| numbers.insert(name.to_owned(), value);
    for name in ["sent", "delivered", "read", "calls", "resends"] {
        put(name, counts.get(name).into());
    }
    for kind in [K::Failed, K::Expired, K::Skipped, K::Cancelled] {
        put(kind.as_str(), state(kind).into());
    }
    put("waiting", waiting.into());
    put("success_rate", json!(success_rate(counts)));
    let latency = [50, 95].map(|percent| counts.latency_ms(percent));
    put("latency_ms", json!({"p50": latency[0], "p95": latency[1]}));
    let cost = Cost { amount_micros: counts.get("cost"), estimated: counts.get("estimates") > 0 };
    put("cost", json!(cost));
    numbers
}

/// Of those that were sent or will not be any more, the share that was sent and has not failed; to a hundredth of a percent.
/// What was skipped or cancelled was not meant to be sent.
#[must_use]
pub fn success_rate(counts: &Counts) -> Option<f64> {
    use StateKind as K;
    let sum = |kinds: &[K]| kinds.iter().map(|kind| counts.get(&format!("state:{kind}"))).sum::<i64>();
    let good = sum(&[K::Sent, K::Delivered, K::Read]);
    let all = good + sum(&[K::Failed, K::Expired]);
    let per_ten_thousand = (all > 0).then(|| good * 10_000 / all)?;
    i32::try_from(per_ten_thousand).ok().map(|share| f64::from(share) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_success_rate_leaves_out_what_was_not_to_be_sent() {
        let mut counts = Counts::default();
        assert_eq!(success_rate(&counts), None);
        for (state, n) in [("sent", 2), ("delivered", 1), ("failed", 1), ("skipped", 5), ("pending", 3)] {
            counts.add(format!("state:{state}"), n);
        }
        assert_eq!(success_rate(&counts), Some(0.75));
    }

    #[test]
    fn a_period_ends_before_its_end() {
        let now: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
        let days = |from: Option<&str>, to: Option<&str>| {
            let bound = |text: &str| text.parse::<Bound>().unwrap();
            let wanted = StatsWanted { from: from.map(bound), to: to.map(bound), by: By::default() };
            wanted.days(now).map(|(first, last)| (date_of(first), date_of(last))).ok()
        };
        let named = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(days(None, None), named("2026-10-22", "2026-11-20"));
        assert_eq!(days(Some("2026-11-20"), None), named("2026-11-20", "2026-11-20"));
        assert_eq!(days(Some("2026-11-01"), Some("2026-11-20")), named("2026-11-01", "2026-11-19"));
        assert_eq!(days(Some("2026-11-01"), Some("2026-11-20T00:00:01Z")), named("2026-11-01", "2026-11-20"));
        assert_eq!(days(Some("2026-11-20"), Some("2026-11-20")), None);
        assert_eq!(days(Some("2020-01-01"), None), None);
        assert!("yesterday".parse::<Bound>().is_err() && "colour".parse::<By>().is_err());
    }
}
