//! What operators read: events with what became of them, deliveries with their timeline, the log.

use std::collections::BTreeMap;

use carillon_domain::{
    Channel, Cost, Delivery, DeliveryId, Event, EventId, EventType, Problem, ReceiptKind, RecipientId,
    StateKind, TenantId, Timestamp,
};
use serde_json::{Map, Value, json};

use crate::context::Pipeline;
use crate::ports::StoreError;
use crate::reproduce::Reproduced;
use crate::store::directory::StoredRecipient;
use crate::store::keys::{self, Logged};

/// How many days of the log one call looks through; a page may be short and say where to go on.
const DAYS_A_CALL: i64 = 40;

/// How far back the log goes when the caller does not say.
const DAYS_BACK: i64 = 30;

/// Which deliveries of the log are wanted; everything that is given must match.
#[derive(Debug, Default, Clone)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<StateKind>,
    /// On this channel.
    pub channel: Option<Channel>,
    /// To this recipient.
    pub recipient: Option<RecipientId>,
    /// Of this type of event.
    pub event_type: Option<EventType>,
    /// About this subject.
    pub subject: Option<String>,
}

/// Which part of the log is wanted.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl DeliveryFilter {
    pub(crate) fn takes(&self, delivery: &Delivery) -> bool {
        self.state.is_none_or(|state| delivery.state.kind() == state)
            && self.channel.is_none_or(|channel| delivery.channel == channel)
            && self.recipient.as_ref().is_none_or(|id| delivery.recipient_id == *id)
            && self.event_type.as_ref().is_none_or(|t| delivery.event_type == *t)
            && self.subject.as_ref().is_none_or(|s| delivery.subject.as_ref() == Some(s))
    }
}

impl Pipeline {
    /// An event with the states of its deliveries.
    pub async fn event_view(&self, tenant: &TenantId, id: &EventId) -> Result<Option<Value>, StoreError> {
        let Some(event) = self.event(tenant, id).await? else { return Ok(None) };
        let mut view = self.view_of_event(tenant, &event).await?;
        if let Some(at) = self.acknowledged_at(tenant, event.acknowledged_with()).await? {
            view["acknowledged_at"] = json!(at);
        }
        Ok(Some(view))
    }

    async fn view_of_event(&self, tenant: &TenantId, event: &Event) -> Result<Value, StoreError> {
        let plan = self.event_plan(tenant, &event.id).await?;
        let mut states: BTreeMap<&str, u32> = BTreeMap::new();
        let (mut unsettled, mut cost) = (0, None);
        let count = |delivery: Delivery| {
            *states.entry(delivery.state.kind().as_str()).or_default() += 1;
            cost = [cost, delivery.cost()].into_iter().flatten().reduce(Cost::plus);
            unsettled += u32::from(!delivery.is_settled());
        };
        self.each_delivery_of(tenant, &event.id, count).await?;
        // An index may lag behind: the event is settled only when every planned delivery has been seen.
        let seen: u32 = states.values().sum();
        let settled = plan.as_ref().is_some_and(|p| seen >= p.planned) && unsettled == 0;
        let mut view = json!({
            "id": event.id,
            "type": event.input.event_type,
            "source": event.input.source,
            "subject": event.input.subject,
            "time": event.input.time,
            "accepted_at": event.accepted_at,
            // The count of a large event was taken from an index that may have lagged.
            "planned": plan.as_ref().map(|p| p.planned.max(seen)),
            "states": states,
            "settled": settled,
            "cost": cost,
        });
        if let Some(escalates) = &event.escalates {
            view["escalates"] = json!({"event_id": escalates.event_id, "step": escalates.step});
        }
        if plan.is_none()
            && let Some((done, parts)) = self.progress_of(tenant, &event.id).await?
        {
            view["progress"] = json!({"parts_done": done, "parts": parts});
        }
        if let Some(plan) = plan.filter(|p| !p.unknown.is_empty()) {
            view["unknown"] = json!(plan.unknown);
        }
        Ok(view)
    }

    /// A page of the events of a tenant, the newest first, and where the next begins.
    pub async fn events_view(
        &self,
        tenant: &TenantId,
        event_type: Option<&EventType>,
        page: &LogPage,
    ) -> Result<(Vec<Value>, Option<String>), Problem> {
        let mut views = Vec::new();
        let mut walk = Walk::new(self.now(), page)?;
        while views.len() < page.limit {
            let wanted = page.limit - views.len();
            let Some(sort_keys) = walk.next(self, tenant, Logged::Events, wanted).await? else { break };
            let ids: Vec<EventId> =
                sort_keys.iter().filter_map(|s| id_of(s)?.to_owned().try_into().ok()).collect();
            for event in self.events(tenant, &ids).await?.into_iter().flatten() {
                if event_type.is_none_or(|t| event.input.event_type == *t) {
                    views.push(self.view_of_event(tenant, &event).await?);
                }
            }
        }
        Ok((views, walk.cursor))
    }

    /// A page of the deliveries of a tenant, the newest first, and where the next begins.
    pub async fn deliveries_view(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        page: &LogPage,
    ) -> Result<(Vec<Value>, Option<String>), Problem> {
        let mut found = Vec::new();
        let mut walk = Walk::new(self.now(), page)?;
        while found.len() < page.limit {
            let wanted = page.limit - found.len();
            let Some(sort_keys) = walk.next(self, tenant, Logged::Deliveries, wanted).await? else { break };
            let ids: Vec<DeliveryId> = sort_keys.iter().filter_map(|s| id_of(s)?.parse().ok()).collect();
            found.extend(self.deliveries(tenant, &ids).await?.into_iter().filter(|d| filter.takes(d)));
        }
        Ok((self.delivery_views(tenant, &found).await?, walk.cursor))
    }

    /// A part of the log of deliveries, the newest first, and where the next begins; none at the end. It may be empty
    /// before the end.
    pub(crate) async fn log_of_deliveries(
        &self,
        tenant: &TenantId,
        page: &LogPage,
    ) -> Result<(Vec<Delivery>, Option<String>), Problem> {
        let mut walk = Walk::new(self.now(), page)?;
        let sort_keys = walk.next(self, tenant, Logged::Deliveries, page.limit).await?.unwrap_or_default();
        let ids: Vec<DeliveryId> = sort_keys.iter().filter_map(|s| id_of(s)?.parse().ok()).collect();
        Ok((self.deliveries(tenant, &ids).await?, walk.cursor))
    }

    /// The ids of a part of the log of events, in the same way.
    pub(crate) async fn log_of_events(
        &self,
        tenant: &TenantId,
        page: &LogPage,
    ) -> Result<(Vec<EventId>, Option<String>), Problem> {
        let mut walk = Walk::new(self.now(), page)?;
        let sort_keys = walk.next(self, tenant, Logged::Events, page.limit).await?.unwrap_or_default();
        let ids = sort_keys.iter().filter_map(|s| id_of(s)?.to_owned().try_into().ok()).collect();
        Ok((ids, walk.cursor))
    }

    /// Deliveries as callers see them, with their masked addresses.
    pub async fn delivery_views(
        &self,
        tenant: &TenantId,
        found: &[Delivery],
    ) -> Result<Vec<Value>, StoreError> {
        let ids: Vec<RecipientId> = found.iter().map(|d| d.recipient_id.clone()).collect();
        let recipients = self.recipients(tenant, &ids).await?;
        let masked =
            |d: &Delivery, r: &Option<StoredRecipient>| r.as_ref()?.recipient.masked_address(d.channel);
        Ok(found
            .iter()
            .zip(&recipients)
            .map(|(d, (_, r))| delivery_json(d, masked(d, r).as_deref()))
            .collect())
    }

    /// A delivery with its timeline and what it says.
    pub async fn delivery_view(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
    ) -> Result<Option<Value>, StoreError> {
        let Some(delivery) = self.delivery(tenant, id).await? else { return Ok(None) };
        let mut views = self.delivery_views(tenant, std::slice::from_ref(&delivery)).await?;
        let mut view = views.pop().unwrap_or_default();
        view["timeline"] = Value::Array(timeline(&delivery));
        view["rendered"] = match self.reproduce(tenant, &delivery).await? {
            Reproduced::Message(_, message) => json!(message),
            Reproduced::Impossible(..) | Reproduced::Unwanted(_) => Value::Null,
        };
        Ok(Some(view))
    }
}

fn id_of(sort_key: &str) -> Option<&str> {
    sort_key.split_once('#').map(|(_, id)| id)
}

/// A walk back through the days of a log.
struct Walk {
    day: i64,
    last_day: i64,
    days_left: i64,
    from_ms: i64,
    bound: Option<String>,
    cursor: Option<String>,
}

impl Walk {
    fn new(now: Timestamp, page: &LogPage) -> Result<Self, Problem> {
        let from = page
            .from
            .unwrap_or_else(|| crate::deliver::plus(now, jiff::SignedDuration::from_hours(-24 * DAYS_BACK)));
        let bound = match (&page.cursor, page.to) {
            (Some(cursor), _) => {
                let well =
                    cursor.split_once('#').is_some_and(|(ms, _)| ms.len() == 13 && ms.parse::<i64>().is_ok());
                if !well {
                    return Err(StoreError::BadCursor.into());
                }
                Some(cursor.clone())
            }
            // Below every id of that millisecond.
            (None, Some(to)) => Some(keys::millis(to.min(now))),
            (None, None) => None,
        };
        let start_ms =
            bound.as_deref().and_then(|b| b.get(..13)?.parse().ok()).unwrap_or_else(|| now.as_millisecond());
        Ok(Self {
            // A clock that is a little ahead of ours may have written into the next day.
            day: start_ms.div_euclid(86_400_000) + i64::from(bound.is_none()),
            last_day: keys::day_of(from),
            days_left: DAYS_A_CALL,
            from_ms: from.as_millisecond(),
            bound,
            cursor: None,
        })
    }

    /// The next sort keys; none at the end, or when this call has looked far enough.
    async fn next(
        &mut self,
        pipeline: &Pipeline,
        tenant: &TenantId,
        what: Logged,
        wanted: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        loop {
            if self.day < self.last_day {
                self.cursor = None;
                return Ok(None);
            }
            if self.days_left == 0 {
                self.cursor = Some(format!("{:013}#", (self.day + 1) * 86_400_000));
                return Ok(None);
            }
            let mut found = pipeline.log_day(tenant, what, self.day, wanted, self.bound.as_deref()).await?;
            if found.len() < wanted {
                self.day -= 1;
                self.days_left -= 1;
            }
            let before = found.len();
            found.retain(|s| {
                s.get(..13).and_then(|ms| ms.parse::<i64>().ok()).is_some_and(|ms| ms >= self.from_ms)
            });
            if found.len() < before {
                // The rest is older than what was asked for.
                self.day = self.last_day - 1;
            }
            if let Some(last) = found.last() {
                self.bound = Some(last.clone());
                self.cursor = Some(last.clone());
                return Ok(Some(found));
            }
        }
    }
}

fn delivery_json(d: &Delivery, address_masked: Option<&str>) -> Value {
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            view.insert(name.to_owned(), value);
        }
    };
    put("id", json!(d.id));
    put("event_id", json!(d.event_id));
    put("event_type", json!(d.event_type));
    put("subject", json!(d.subject));
    put("recipient_id", json!(d.recipient_id));
    put("channel", json!(d.channel));
    put("category", json!(d.category));
    put("priority", json!(d.priority));
    put("address_masked", json!(address_masked));
    put("state", json!(d.state.kind()));
    put("reason", json!(d.state.reason()));
    put("note", json!(d.note));
    put("template", json!(d.template));
    put("version", json!(d.version));
    put("locale", json!(d.locale));
    put("attempts", json!(d.calls));
    put("tries", json!(d.tries));
    put("resends", if d.resends > 0 { json!(d.resends) } else { Value::Null });
    put("held_until", json!(d.held_until));
    put("carried_by", json!(d.carried_by));
    let carries = d.digest.as_ref().and_then(|mark| mark.carries).map(|carries| carries.events);
    put("events", json!(carries));
    put("retry_at", json!(d.retry_at.filter(|_| d.state.kind() != StateKind::Pending)));
    put("expires_at", json!(d.expires_at));
    put("provider_message_id", json!(d.provider_message_id));
    put("cost", json!(d.cost()));
    put("created_at", json!(d.created_at));
    put("sent_at", json!(d.sent_at()));
    let in_feed =
        d.channel == Channel::InApp && matches!(d.state.kind(), StateKind::Delivered | StateKind::Read);
    let stored_in_feed = in_feed.then(|| d.in_feed_since());
    put("delivered_at", json!(d.receipt_at(ReceiptKind::Delivered).or(stored_in_feed)));
    put("read_at", json!(d.receipt_at(ReceiptKind::Read)));
    put("failed_at", json!((d.state.kind() == StateKind::Failed).then_some(d.changed_at)));
    Value::Object(view)
}

/// Everything that happened to a delivery, in order.
fn timeline(d: &Delivery) -> Vec<Value> {
    let mut entries: Vec<(Timestamp, u8, Value)> =
        vec![(d.created_at, 0, json!({"kind": "planned", "at": d.created_at}))];
    for (number, attempt) in &d.attempts {
        let entry = json!({
            "kind": "attempt",
            "at": attempt.started_at,
            "number": number,
            "started_at": attempt.started_at,
            "ended_at": attempt.ended_at,
            "outcome": attempt.outcome,
            "http_status": attempt.http_status,
            "code": attempt.code,
            "trace_id": attempt.trace_id,
            "detail": attempt.detail,
        });
        entries.push((attempt.started_at, 1, entry));
    }
    let first_call = d.attempts.values().next().map_or(d.created_at, |attempt| attempt.started_at);
    for (kind, at) in &d.receipts {
        // Meta tells whole seconds: a receipt is shown with its own time, and after the call that it is about.
        entries.push((at.0.max(first_call), 2, json!({"kind": "receipt", "at": at.0, "receipt": kind})));
    }
    if let Some(revival) = &d.revived {
        let entry = json!({
            "kind": "state", "at": revival.at, "state": StateKind::Pending, "reason": null,
            "note": format!("taken back from {}", revival.from), "by": revival.by,
        });
        entries.push((revival.at, 1, entry));
    }
    let state = json!({"kind": "state", "at": d.changed_at, "state": d.state.kind(), "reason": d.state.reason(), "note": d.note});
    entries.push((d.changed_at, 3, state));
    entries.sort_by_key(|(at, order, _)| (*at, *order));
    entries.into_iter().map(|(_, _, entry)| entry).collect()
}
