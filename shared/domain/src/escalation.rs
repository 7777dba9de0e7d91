//! Escalation: who is told next, and when, while nobody has acknowledged an event. A route has the steps; each becomes an
//! event of its own, with the audience of the step. fan-out notes the steps, sweep-due takes them.

use serde::{Deserialize, Serialize};

use crate::ids::{EventId, TenantId};
use crate::problem::FieldError;
use crate::route::{Audience, is_event_path};

/// How many steps a route may have: what an acknowledgement has to look at.
pub const MOST_STEPS: u32 = 10;

/// The least and the longest wait of a step, in seconds: sweep-due runs each minute; 30 days.
const AFTER_S: std::ops::RangeInclusive<u32> = 60..=2_592_000;

/// One step of a route: who is told when nobody has acknowledged the event by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationStep {
    /// How long after the event was first due, in seconds.
    pub after_s: u32,
    /// Who is told.
    pub audience: Audience,
}

/// What is wrong with the steps of a route, with pointers below the list.
#[must_use]
pub fn faults(steps: &[EscalationStep]) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if steps.len() > MOST_STEPS as usize {
        faults.push(FieldError::new("", format!("has more than {MOST_STEPS} steps")));
    }
    for (i, step) in steps.iter().enumerate() {
        let mut fault =
            |field: &str, detail: &str| faults.push(FieldError::new(format!("/{i}/{field}"), detail));
        if !AFTER_S.contains(&step.after_s) {
            fault("after_s", "must be 60 to 2,592,000 seconds");
        } else if i > 0 && step.after_s <= steps[i - 1].after_s {
            fault("after_s", "must be later than the step before");
        }
        if step.audience.is_empty() {
            fault("audience", "names nobody: give groups, ids or from_event");
        }
        for (n, _) in step.audience.from_event.iter().enumerate().filter(|(_, path)| !is_event_path(path)) {
            let detail = "is not a path into the event; write it like data.customer_id";
            fault(&format!("audience/from_event/{n}"), detail);
        }
    }
    faults
}

/// That an event is a step of another one's escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalates {
    /// The event that nobody had acknowledged.
    pub event_id: EventId,
    /// Which step, from 1.
    pub step: u32,
    /// Who is told: these, and nobody whom the route or the first event names.
    pub audience: Audience,
}

/// The id of the event that a step becomes, whoever takes the step and how often.
#[must_use]
pub fn step_event_id(tenant: &TenantId, event: &EventId, step: u32) -> EventId {
    // A producer's keys begin with `header` or `event`.
    EventId::from_idempotency_key(tenant, &format!("escalation {event} {step}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_step_is_pointed_at() {
        let steps: Vec<EscalationStep> = serde_json::from_value(serde_json::json!([
            {"after_s": 59, "audience": {"groups": ["A"]}},
            {"after_s": 600, "audience": {}},
            {"after_s": 600, "audience": {"from_event": ["data.boss", "boss"]}},
        ]))
        .unwrap();
        let pointers: Vec<String> = faults(&steps).into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/0/after_s", "/1/audience", "/2/after_s", "/2/audience/from_event/1"]);
    }

    #[test]
    fn each_step_of_each_event_is_an_event_of_its_own() {
        let tenant: TenantId = "acme".parse().unwrap();
        let [a, b] = ["a", "b"].map(|key| EventId::from_idempotency_key(&tenant, key));
        assert_eq!(step_event_id(&tenant, &a, 1), step_event_id(&tenant, &a, 1));
        assert_ne!(step_event_id(&tenant, &a, 1), step_event_id(&tenant, &a, 2));
        assert_ne!(step_event_id(&tenant, &a, 1), step_event_id(&tenant, &b, 1));
    }
}
