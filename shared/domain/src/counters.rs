//! What is counted of deliveries. Each delivery has facts, a few numbers that follow from it alone; a counter is the sum of
//! the facts of the deliveries of one place. A change of a delivery changes a counter by the new facts less the old ones, so
//! neither order nor grouping of the changes matters, and a recount of what is stored gives the same sums.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::channel::Channel;
use crate::delivery::{Delivery, ReceiptKind};
use crate::ids::{EventType, TemplateName};
use crate::route::Category;
use crate::state::{PlainReason, Reason, State, StateKind};

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The day that the deliveries were planned on, in UTC, counted from 1970: one delivery stays in one place.
    pub day: i64,
    /// Their channel.
    pub channel: Channel,
    /// Their category.
    pub category: Category,
    /// The type of their events.
    pub event_type: EventType,
    /// Their template.
    pub template: Option<TemplateName>,
}

/// Numbers by name: `planned`, `sent`, `delivered`, `read`, `calls`, `resends`, `cost` (millionths of a US dollar),
/// `estimates` (deliveries whose cost is one), `state:<state>`, `reason:<state>(<reason>)`, `latency:<bucket>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, i64>);

impl Counts {
    /// One number; 0 when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds to one number.
    pub fn add(&mut self, name: impl Into<String>, by: i64) {
        *self.0.entry(name.into()).or_default() += by;
    }

    /// Adds all of another's numbers, `times` times.
    pub fn add_all(&mut self, other: &Self, times: i64) {
        for (name, n) in &other.0 {
            self.add(name.clone(), n * times);
        }
    }

    /// The numbers that are not 0.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().filter(|(_, n)| **n != 0).map(|(name, n)| (name.as_str(), *n))
    }

    /// The numbers whose name begins like this, under the rest of their name.
    pub fn under<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        self.iter().filter_map(move |(name, n)| Some((name.strip_prefix(start)?, n)))
    }

    /// Whether every number is 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The time within which this share of those that were sent was sent, in milliseconds; up to two fifths too high.
    #[must_use]
    pub fn latency_ms(&self, percent: i64) -> Option<u64> {
        let mut buckets: Vec<(u32, i64)> =
            self.under("latency:").filter_map(|(bucket, n)| Some((bucket.parse().ok()?, n.max(0)))).collect();
        buckets.sort_unstable();
        let all: i64 = buckets.iter().map(|(_, n)| n).sum();
        let mut left = (all * percent + 99) / 100;
        for (bucket, n) in buckets {
            left -= n;
            if left <= 0 && n > 0 {
                return Some(bucket_ms(bucket));
            }
        }
        None
    }
}

/// Counts by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<Place, Counts>);

impl Counters {
    /// Counts that a delivery became another, or came to be. One that goes is not taken back: it has happened.
    pub fn change(&mut self, before: Option<&Delivery>, after: &Delivery) {
        for (delivery, times) in before.map(|b| (b, -1)).into_iter().chain([(after, 1)]) {
            if let Some((place, facts)) = facts(delivery) {
                self.0.entry(place).or_default().add_all(&facts, times);
            }
        }
    }

    /// Adds counts to a place.
    pub fn add(&mut self, place: Place, counts: &Counts) {
        self.0.entry(place).or_default().add_all(counts, 1);
    }

    /// The places with their counts that are not 0.
    pub fn iter(&self) -> impl Iterator<Item = (&Place, &Counts)> {
        self.0.iter().filter(|(_, counts)| !counts.is_zero())
    }

    /// Whether a place has counts that are not 0.
    #[must_use]
    pub fn has(&self, place: &Place) -> bool {
        self.0.get(place).is_some_and(|counts| !counts.is_zero())
    }

    /// How many places have counts that are not 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is nothing to count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { day, channel, category, event_type, template } = self;
        let template = template.as_ref().map_or("", TemplateName::as_str);
        write!(f, "{day:06}#{channel}#{}#{event_type}#{template}", category.as_str())
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(5, '#');
        let mut next = || parts.next().ok_or(());
        let (day, channel, category) = (next()?, next()?, next()?);
        let (event_type, template) = (next()?, next()?);
        let template = (!template.is_empty()).then(|| template.parse());
        Ok(Self {
            day: day.parse().map_err(|_| ())?,
            channel: channel.parse()?,
            category: category.parse()?,
            event_type: event_type.parse().map_err(|_| ())?,
            template: template.transpose().map_err(|_| ())?,
        })
    }
}

/// The day an instant lies in, in UTC.
#[must_use]
pub fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(86_400)
}

/// What is counted of a delivery, and where; none of one that was posted with a test key.
#[must_use]
pub fn facts(delivery: &Delivery) -> Option<(Place, Counts)> {
    let by_test_key = delivery.state == State::Skipped(Reason::Plain(PlainReason::TestKey));
    if delivery.test || by_test_key {
        return None;
    }
    let place = Place {
        day: day_of(delivery.created_at),
        channel: delivery.channel,
        category: delivery.category,
        event_type: delivery.event_type.clone(),
        template: delivery.template.clone(),
    };
    let mut counts = Counts::default();
    counts.add("planned", 1);
    counts.add(format!("state:{}", delivery.state.kind()), 1);
    if delivery.state.reason().is_some() {
        counts.add(format!("reason:{}", delivery.state), 1);
    }
    let is = |kinds: &[StateKind]| kinds.contains(&delivery.state.kind());
    let has = |kind: ReceiptKind| delivery.receipt_at(kind).is_some();
    let read = has(ReceiptKind::Read) || is(&[StateKind::Read]);
    let delivered = read || has(ReceiptKind::Delivered) || is(&[StateKind::Delivered]);
    let sent = delivered || delivery.sent_at().is_some() || is(&[StateKind::Sent]);
    for (name, holds) in [("sent", sent), ("delivered", delivered), ("read", read)] {
        counts.add(name, i64::from(holds));
    }
    counts.add("calls", i64::from(delivery.calls));
    counts.add("resends", i64::from(delivery.resends));
    if let Some(sent_at) = delivery.sent_at() {
        // Meta tells whole seconds, which may lie before.
        let since = delivery.due_at.unwrap_or(delivery.created_at);
        let took_ms = (sent_at.as_millisecond() - since.as_millisecond()).max(0);
        counts.add(format!("latency:{:02}", bucket_of(took_ms)), 1);
    }
    if let Some(cost) = delivery.cost() {
        counts.add("cost", cost.amount_micros);
        counts.add("estimates", i64::from(cost.estimated));
    }
    Some((place, counts))
}

/// Buckets grow by the square root of two: 56 of them reach three days.
fn bucket_of(took_ms: i64) -> u32 {
    (0..MOST_BUCKETS)
        .find(|bucket| i64::try_from(bucket_ms(*bucket)).is_ok_and(|ms| took_ms <= ms))
        .unwrap_or(MOST_BUCKETS)
}

const MOST_BUCKETS: u32 = 72;

/// The upper bound of a bucket.
fn bucket_ms(bucket: u32) -> u64 {
    let whole = 1_u64 << (bucket / 2).min(62);
    // The square root of two in ten-thousandths.
    if bucket.is_multiple_of(2) { whole } else { whole * 14_142 / 10_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(state: &str) -> Delivery {
        let json = serde_json::json!({
            "id": "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w",
            "event_id": "bbbbbbbbbbbbbbbbbbbbbbbbbb", "event_type": "order.created", "recipient_id": "u",
            "channel": "whatsapp", "category": "transactional", "priority": "normal", "template": "order",
            "state": state, "expires_at": 9_000_000_000_000_i64, "rev": 1, "created_at": 86_400_000, "changed_at": 0
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn changes_in_any_order_and_grouping_add_up_to_a_recount() {
        let mut sent = delivery("sent");
        sent.calls = 1;
        sent.attempts.insert(
            1,
            serde_json::from_value(serde_json::json!(
                {"s": 86_400_100, "e": 86_401_000, "o": "succeeded", "p": 3_400}
            ))
            .unwrap(),
        );
        let life = [delivery("pending"), delivery("sending"), sent.clone()];
        let mut recount = Counters::default();
        recount.change(None, &sent);
        for order in [[0_usize, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut counted = Counters::default();
            for i in order {
                counted.change(i.checked_sub(1).map(|before| &life[before]), &life[i]);
            }
            let lists = [&counted, &recount].map(|c| {
                c.iter()
                    .map(|(p, n)| (p.clone(), n.iter().map(|(k, v)| (k.to_owned(), v)).collect::<Vec<_>>()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(lists[0], lists[1], "{order:?}");
        }
        let (place, facts) = facts(&sent).unwrap();
        assert_eq!(
            (place.day, facts.get("sent"), facts.get("cost"), facts.get("estimates")),
            (1, 1, 3_400, 1)
        );
        assert_eq!(place.to_string(), "000001#whatsapp#transactional#order.created#order");
        assert_eq!(place.to_string().parse(), Ok(place));
    }

    #[test]
    fn what_a_test_key_posted_is_not_counted() {
        let mut skipped = delivery("pending");
        skipped.state = State::Skipped(Reason::Plain(PlainReason::TestKey));
        assert!(facts(&skipped).is_none());
        skipped.state = State::Skipped(Reason::Plain(PlainReason::NoAddress));
        assert!(facts(&skipped).is_some());
        skipped.test = true;
        assert!(facts(&skipped).is_none());
    }

    #[test]
    fn a_share_of_the_latencies_is_right_to_a_bucket() {
        let mut counts = Counts::default();
        for ms in 1..=1_000 {
            counts.add(format!("latency:{:02}", bucket_of(ms)), 1);
        }
        let (half, most) = (counts.latency_ms(50).unwrap(), counts.latency_ms(95).unwrap());
        assert!((500..=724).contains(&half) && (950..=1_024).contains(&most), "{half} {most}");
        assert_eq!(Counts::default().latency_ms(50), None);
        for ms in [0, 1, 2, 3, 1_000, 259_200_000] {
            assert!(i64::try_from(bucket_ms(bucket_of(ms))).unwrap() >= ms);
        }
    }
}
