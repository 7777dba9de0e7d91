//! Why somebody was told, or not: every decision about an event, in order. The audience is resolved and planned by the
//! code that fan-out runs; what became of each delivery is read from its record.

use carillon_domain::{Event, EventId, Form, RecipientId, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::fan_out::Told;
use crate::work::WorkError;

/// How many recipients one answer explains; ask for one by their id for the others.
const EXPLAINED: usize = 200;

impl Pipeline {
    /// Every decision about an event, about one recipient if one is named. None when there is no such event.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn explain(
        &self,
        tenant: &TenantId,
        id: &EventId,
        only: Option<&RecipientId>,
    ) -> Result<Option<Value>, WorkError> {
        let Some(event) = self.event(tenant, id).await? else { return Ok(None) };
        let plan = self.event_plan(tenant, id).await?;
        let mut decisions = vec![decision(event.accepted_at, None, "accepted", "event stored", None)];
        if let Some(escalates) = &event.escalates {
            let words = format!("step {} of event {}", escalates.step, escalates.event_id);
            decisions.push(decision(event.accepted_at, None, "escalation", "told", Some(&words)));
        }
        let route = self.route(tenant, &event.input.event_type).await?;
        decisions.push(match (event.direct(), &route) {
            (Some((template, _)), _) => {
                decision(event.accepted_at, None, "route", &format!("direct send of {template}"), None)
            }
            (None, Some(route)) => {
                decision(event.accepted_at, None, "route", &format!("template {}", route.template), None)
            }
            (None, None) => decision(event.accepted_at, None, "route", "none", Some("the route was removed")),
        });
        // The audience is known before the first delivery is written.
        let planned_at = event.accepted_at;
        for name in plan.iter().flat_map(|plan| &plan.unknown) {
            decisions.push(decision(
                planned_at,
                None,
                "audience",
                "nobody",
                Some(&format!("{name} does not exist")),
            ));
        }
        let addressed = self.addressed(tenant, &event, route.as_ref().map(|r| &r.audience)).await?;
        let mut ids = self.some_addressed(tenant, &addressed, EXPLAINED).await?;
        if let Some(only) = only {
            ids = if self.is_addressed(tenant, &addressed, only).await? {
                vec![only.clone()]
            } else {
                Vec::new()
            };
        }
        if let Some(only) = only.filter(|_| ids.is_empty()) {
            decisions.push(decision(
                planned_at,
                Some(only),
                "audience",
                "not addressed",
                Some("in no group or list of it"),
            ));
        }
        for id in &ids {
            decisions.push(decision(planned_at, Some(id), "audience", "addressed", None));
        }
        decisions.extend(self.explained_deliveries(tenant, &event, only).await?);
        for (at, mut step) in self.explained_steps(tenant, &event.id).await? {
            step["at"] = json!(at);
            decisions.push(step);
        }
        if plan.is_none() {
            // Not planned yet: what would be decided now.
            let planning = self.plan_page(tenant, &event, route.as_deref(), &ids, &Told::Ask).await?;
            for planned in &planning.planned {
                let delivery = &planned.delivery;
                let outcome =
                    if planned.send.is_some() { "would be sent" } else { delivery.state.kind().as_str() };
                let reason = delivery.state.reason();
                let mut one =
                    decision(self.now(), Some(&delivery.recipient_id), "channel", outcome, reason.as_deref());
                one["channel"] = json!(delivery.channel);
                if let Some(until) = delivery.held_until {
                    one["until"] = json!(until);
                }
                decisions.push(one);
            }
        }
        // Times are RFC 3339 in UTC, which sort as text; what happened at one instant stays in the order of its steps.
        decisions.sort_by(|a, b| a["at"].as_str().cmp(&b["at"].as_str()));
        Ok(Some(json!({"decisions": decisions})))
    }

    async fn explained_deliveries(
        &self,
        tenant: &TenantId,
        event: &Event,
        only: Option<&RecipientId>,
    ) -> Result<Vec<Value>, WorkError> {
        let (found, _) = self.deliveries_of(tenant, &event.id, EXPLAINED * 3, None).await?;
        let mut decisions = Vec::new();
        for delivery in found.iter().filter(|d| only.is_none_or(|only| d.recipient_id == *only)) {
            let mut add = |at: Timestamp, step: &str, outcome: &str, reason: Option<&str>| {
                let mut one = decision(at, Some(&delivery.recipient_id), step, outcome, reason);
                one["channel"] = json!(delivery.channel);
                if step == "state"
                    && let Some(until) = delivery.held_until
                {
                    one["until"] = json!(until);
                }
                if step == "state"
                    && let Some(other) = &delivery.carried_by
                {
                    one["carried_by"] = json!(other);
                }
                decisions.push(one);
            };
            // What became a template was free text that came too late, or found the window closed when it was planned.
            match delivery.form {
                Some(Form::Text) => add(delivery.created_at, "window", "free text", None),
                Some(Form::Template) => add(delivery.created_at, "window", "approved template", None),
                None => {}
            }
            for attempt in delivery.attempts.values() {
                let outcome = attempt.outcome.map_or("under way", carillon_domain::Outcome::as_str);
                add(attempt.started_at, "attempt", outcome, attempt.code.as_deref());
            }
            for (kind, at) in &delivery.receipts {
                add(at.0, "receipt", kind.as_str(), None);
            }
            let reason = delivery.state.reason();
            let words = delivery.note.as_deref().or(reason.as_deref());
            add(delivery.changed_at, "state", delivery.state.kind().as_str(), words);
        }
        Ok(decisions)
    }
}

fn decision(
    at: Timestamp,
    recipient: Option<&RecipientId>,
    step: &str,
    outcome: &str,
    reason: Option<&str>,
) -> Value {
    let mut view = json!({"at": at, "step": step, "outcome": outcome});
    if let Some(recipient) = recipient {
        view["recipient_id"] = json!(recipient);
    }
    if let Some(reason) = reason {
        view["reason"] = json!(reason);
    }
    view
}
