//! sweep-reminders: makes reminders of deadlines that fall due soon into events, whose deliveries wait as
//! `held(scheduled)` until sweep-due fires them to the minute. Reads the lanes of the attention index; puts events with
//! deterministic ids, then moves the deadline on by a conditional write, so that a run may come twice, late or never.
//! [`crate::reminder_events`] comes next. Who puts a deadline ([`crate::deadlines`]) plans here as well.

use std::collections::BTreeMap;

use carillon_domain::{Deadline, DeadlineState, Lane, Lanes, ReminderPolicy, TenantId, Timestamp};
use futures_util::future::join_all;

use crate::context::Pipeline;
use crate::store::deadlines::SavedDeadline;
use crate::store::keys::deadlines::DEADLINE_SHARDS;
use crate::work::WorkError;

/// How many deadlines of a shard are read at a time.
const PAGE: usize = 100;

/// How many deadlines are worked side by side.
const SIDE_BY_SIDE: usize = 20;

/// How many deadlines a run looks at: some minutes' work. The next goes on where it stopped.
const MOST_A_RUN: usize = 10_000;

/// How many instants of one deadline a run plans: what nobody has planned for years comes in several.
const MOST_INSTANTS: usize = 50;

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PlannedReminders {
    /// Deadlines that were looked at.
    pub deadlines: u32,
    /// Reminders that became events.
    pub reminders: u32,
    /// Deadlines that could not be worked; the next run tries them again.
    pub failed: u32,
    /// Whether there is more to do up to the horizon: another run goes on where this one stopped.
    pub unfinished: bool,
}

/// What planning one deadline came to.
#[derive(Debug, Default, Clone, Copy)]
struct PlannedOne {
    reminders: u32,
    unfinished: bool,
}

impl Pipeline {
    /// Plans every reminder of these lanes that falls due up to `horizon`: the next run of the schedule, and a margin.
    /// May run twice, late, not at all, or beside itself. When the answer says `unfinished`, run it again at once.
    ///
    /// # Errors
    /// When the index of deadlines cannot be read; what is done stays done.
    pub async fn plan_reminders(
        &self,
        tenant: &TenantId,
        lanes: &Lanes,
        horizon: Timestamp,
    ) -> Result<PlannedReminders, WorkError> {
        let lanes: Vec<Lane> = match lanes {
            Lanes::These(lanes) => lanes.iter().cloned().collect(),
            Lanes::All | Lanes::AllBut(_) => {
                let all = self.lanes(tenant).await?;
                all.into_iter().filter(|lane| lanes.takes(lane)).collect()
            }
        };
        let mut until = BTreeMap::new();
        for lane in &lanes {
            until.insert(lane.clone(), self.note_lane_planned(tenant, lane, horizon).await?);
        }
        let mut planned = PlannedReminders::default();
        for (lane, shard) in lanes.iter().flat_map(|lane| (0..DEADLINE_SHARDS).map(move |s| (lane, s))) {
            if !self.plan_shard(tenant, (lane, shard), horizon, &until, &mut planned).await? {
                planned.unfinished = true;
                break;
            }
        }
        tracing::info!(
            tenant.id = %tenant,
            deadlines.seen = planned.deadlines,
            deadlines.failed = planned.failed,
            reminders.planned = planned.reminders,
            reminders.unfinished = planned.unfinished,
            "reminders planned"
        );
        Ok(planned)
    }

    /// Plans what one shard of a lane owes. Answers whether it came to its end.
    async fn plan_shard(
        &self,
        tenant: &TenantId,
        place: (&Lane, u8),
        horizon: Timestamp,
        until: &BTreeMap<Lane, Timestamp>,
        planned: &mut PlannedReminders,
    ) -> Result<bool, WorkError> {
        let mut after = None;
        loop {
            let (owing, next) = self.owing_deadlines(tenant, place, horizon, PAGE, after).await?;
            for some in owing.chunks(SIDE_BY_SIDE) {
                let each =
                    some.iter().map(|deadline| self.plan_stored(tenant, deadline.clone(), until.clone()));
                for (deadline, done) in some.iter().zip(join_all(each).await) {
                    planned.deadlines += 1;
                    match done {
                        Ok(one) => {
                            planned.reminders += one.reminders;
                            planned.unfinished |= one.unfinished;
                        }
                        Err(error) => {
                            planned.failed += 1;
                            tracing::warn!(tenant.id = %tenant, deadline.id = %deadline.id, error = %error, "its reminders are left for the next run");
                        }
                    }
                }
            }
            after = next;
            if after.is_none() {
                return Ok(true);
            }
            if planned.deadlines as usize >= MOST_A_RUN {
                return Ok(false);
            }
        }
    }

    /// Plans a stored deadline as far as its lanes are planned: those of a run as the run says, the others as theirs did.
    async fn plan_stored(
        &self,
        tenant: &TenantId,
        mut deadline: Deadline,
        mut until: BTreeMap<Lane, Timestamp>,
    ) -> Result<PlannedOne, WorkError> {
        let mut planned = PlannedOne::default();
        let policy = self.policy_of(tenant, &deadline).await?;
        while deadline.state == DeadlineState::Open {
            let before = deadline.clone();
            let one = self.plan_owed(tenant, &policy, &mut deadline, &until).await?;
            planned.reminders += one.reminders;
            planned.unfinished |= one.unfinished;
            if deadline != before
                && let SavedDeadline::Overtaken(found) =
                    self.save_deadline(tenant, Some(&before), &mut deadline).await?
            {
                // What was read may have been old, or somebody was quicker: their form is looked at once more.
                let Some(found) = found.filter(|found| found.rev > before.rev) else { break };
                deadline = *found;
                continue;
            }
            // In a lane that somebody else plans: what they have planned already nobody looks at again.
            let Some(next) = deadline.next.clone().filter(|next| !until.contains_key(&next.lane)) else {
                break;
            };
            until.insert(next.lane.clone(), self.lane_planned_until(tenant, &next.lane).await?);
        }
        Ok(planned)
    }

    /// Plans a deadline that was just put, as far as its lanes are planned.
    pub(crate) async fn plan_at_once(&self, tenant: &TenantId, deadline: Deadline) -> Result<(), WorkError> {
        self.plan_stored(tenant, deadline, BTreeMap::new()).await.map(drop)
    }

    /// Makes events of what a deadline owes, up to an instant for each lane, and moves the deadline on; stores only the
    /// events.
    async fn plan_owed(
        &self,
        tenant: &TenantId,
        policy: &ReminderPolicy,
        deadline: &mut Deadline,
        until: &BTreeMap<Lane, Timestamp>,
    ) -> Result<PlannedOne, WorkError> {
        let mut planned = PlannedOne::default();
        for n in 0.. {
            let owed =
                policy.next_owed(&deadline.class, deadline.due_at, deadline.edited_at, deadline.planned_to);
            deadline.next = owed.first().map(|first| first.as_next(&deadline.class, deadline.due_at));
            let Some(next) = &deadline.next else { break };
            if until.get(&next.lane).is_none_or(|until| next.at > *until) {
                break;
            }
            if n == MOST_INSTANTS {
                planned.unfinished = true;
                break;
            }
            deadline.planned_to = next.at;
            for one in owed {
                planned.reminders += u32::from(self.remind(tenant, deadline, &one).await?);
            }
        }
        Ok(planned)
    }

    /// Plans what falls due up to now, of every lane; stores only the events. Before a deadline takes another form.
    pub(crate) async fn plan_up_to_now(
        &self,
        tenant: &TenantId,
        mut deadline: Deadline,
    ) -> Result<(), WorkError> {
        let policy = self.policy_of(tenant, &deadline).await?;
        let until = [deadline.class.clone(), Lane::overdue()].map(|lane| (lane, self.now())).into();
        while self.plan_owed(tenant, &policy, &mut deadline, &until).await?.unfinished {}
        Ok(())
    }

    /// The policy that a deadline follows.
    pub(crate) async fn policy_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
    ) -> Result<std::sync::Arc<ReminderPolicy>, WorkError> {
        let (name, version) = (&deadline.policy, deadline.policy_version);
        let policy = self.reminder_policy_version(tenant, name, version).await?;
        policy.ok_or_else(|| {
            WorkError::Unreadable(format!("there is no version {version} of the policy {name}"))
        })
    }
}
