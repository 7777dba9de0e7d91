//! What is asked for from outside in a run, each as the call of the pipeline that the function makes who is asked.

use std::fmt;
use std::sync::Arc;

use carillon_domain::{
    Address, EventId, KeyKind, Preferences, Principal, Problem, RecipientId, Scope, SwitchSetting, TenantId,
    Timestamp,
};
use carillon_pipeline::Pipeline;
use carillon_pipeline::inbound::{Inbound, Said};
use carillon_pipeline::jobs::{JobInput, Worked};
use carillon_pipeline::redrive::{DeadLetterFilter, Redrive};
use carillon_pipeline::revive::{Asked, Expiry};
use serde_json::json;

use super::core::Sim;
use super::scenario::{Act, NUMBER, Scenario, Wish};
use super::work::{Ended, Running};

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Post(number) => write!(f, "a producer posts event {number}"),
            Self::Wish(wish) => write!(f, "{} says no to {}", wish.recipient, wish.channel),
            Self::Write { phone, .. } => {
                write!(f, "somebody writes from the number that ends in {}", &phone[10..])
            }
            Self::Cancel(number) => write!(f, "a producer takes event {number} back"),
            Self::Stop(setting) => {
                let (scope, value) = (setting.scope.as_str(), setting.value.as_deref().unwrap_or_default());
                write!(f, "an operator stops {scope} {value} ({})", setting.mode.as_str())
            }
            Self::Lift => f.write_str("an operator stops nothing any more"),
            Self::Revive => f.write_str("an operator takes a delivery back"),
            Self::Redrive { as_job } => {
                write!(f, "an operator redrives every dead letter (as a job: {as_job})")
            }
        }
    }
}

/// Begins what is asked for.
pub(super) fn begin(
    act: &Act,
    pipeline: Arc<Pipeline>,
    tenant: &TenantId,
    scenario: &Scenario,
    sim: &Sim,
) -> Running {
    let caller = |scope| Principal {
        tenant: tenant.clone(),
        key_id: "key".to_owned(),
        key_kind: KeyKind::Live,
        scopes: vec![scope],
    };
    match act {
        Act::Post(number) => {
            let (body, caller) = (scenario.postings[*number].body.clone(), caller(Scope::EventsWrite));
            Box::pin(async move {
                match pipeline.accept(&caller, body, None).await {
                    Ok(accepted) => Ended::Accepted(accepted.event_id),
                    Err(problem) => Ended::Failed(format!("{problem:?}")),
                }
            })
        }
        Act::Wish(wish) => Box::pin(say(pipeline, tenant.clone(), wish.clone())),
        Act::Write { phone, at_ms } => Box::pin(write(pipeline, tenant.clone(), phone, *at_ms)),
        Act::Cancel(number) => {
            let accepted = sim.core().watch.accepted.clone();
            let event = accepted.into_iter().find(|(_, posting)| posting == number).map(|(event, _)| event);
            Box::pin(cancel(pipeline, caller(Scope::EventsWrite), event))
        }
        Act::Stop(setting) => Box::pin(switch(pipeline, caller(Scope::Manage), vec![setting.clone()])),
        Act::Lift => Box::pin(switch(pipeline, caller(Scope::Manage), Vec::new())),
        Act::Revive => Box::pin(revive(pipeline, tenant.clone(), sim.clone())),
        Act::Redrive { as_job } => Box::pin(redrive(pipeline, caller(Scope::Platform), *as_job)),
    }
}

fn done<T>(asked: Result<T, Problem>) -> Ended {
    match asked {
        Ok(_) => Ended::Worked,
        Err(problem) => Ended::Failed(format!("{problem:?}")),
    }
}

async fn say(pipeline: Arc<Pipeline>, tenant: TenantId, wish: Wish) -> Ended {
    let Ok(recipient) = wish.recipient.parse::<RecipientId>() else {
        return Ended::Failed("no id".to_owned());
    };
    let mut wants = Preferences::default();
    wants.channels.insert(wish.channel, false);
    match pipeline.put_preferences(&tenant, &recipient, &wants).await {
        Ok(_) => Ended::Worked,
        Err(error) => Ended::Failed(error.to_string()),
    }
}

async fn write(pipeline: Arc<Pipeline>, tenant: TenantId, phone: &'static str, at_ms: i64) -> Ended {
    let inbound = Inbound {
        from: vec![Address::Phone(phone.to_owned())],
        at: Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX),
        said: Said::Message(None),
    };
    match pipeline.record_inbound(&tenant, NUMBER, &inbound).await {
        Ok(()) => Ended::Worked,
        Err(error) => Ended::Failed(error.to_string()),
    }
}

/// Takes an event back, if it was accepted.
async fn cancel(pipeline: Arc<Pipeline>, producer: Principal, event: Option<EventId>) -> Ended {
    let Some(event) = event else { return Ended::Worked };
    match pipeline.cancel(&producer, &event).await {
        Ok(Worked::AtOnce(_)) => Ended::Cancelled(event),
        // A job goes on with it.
        Ok(Worked::AsJob(_)) => Ended::Worked,
        Err(problem) => Ended::Failed(format!("{problem:?}")),
    }
}

async fn switch(pipeline: Arc<Pipeline>, operator: Principal, settings: Vec<SwitchSetting>) -> Ended {
    done(pipeline.configure_switches(&operator, json!({"switches": settings})).await)
}

async fn revive(pipeline: Arc<Pipeline>, tenant: TenantId, sim: Sim) -> Ended {
    let (force, chosen) = {
        let mut core = sim.core();
        let (force, nth) = (core.chance.below(2) == 0, core.chance.below(1_000));
        (force, core.watch.revivable(nth, force))
    };
    let Some(id) = chosen else { return Ended::Worked };
    let Ok(Some(delivery)) = pipeline.delivery(&tenant, &id).await else { return Ended::Worked };
    let asked = Asked { by: "key", expiry: Expiry::Extend, force, today: None };
    // Whatever comes of it: who asks can ask again.
    match pipeline.revive(&tenant, delivery, asked).await {
        Ok(_) => Ended::Worked,
        Err(error) => Ended::GaveUp(error.to_string()),
    }
}

async fn redrive(pipeline: Arc<Pipeline>, operator: Principal, as_job: bool) -> Ended {
    if !as_job {
        return done(pipeline.redrive(&operator, json!({"filter": {}})).await);
    }
    let wanted = Redrive {
        filter: DeadLetterFilter::default(),
        dry_run: false,
        ownerless: true,
        by: operator.key_id.clone(),
    };
    done(pipeline.start_job(&operator.tenant, JobInput::Redrive(wanted)).await)
}
