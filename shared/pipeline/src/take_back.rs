//! Takes back reminders that were planned and are not owed any more: their deadline was closed, moved or changed. Ends their
//! deliveries as `cancelled(deadline_closed)`; what is planned meanwhile is kept back by the sweep and the last look.

use carillon_domain::state::PlainReason;
use carillon_domain::{Deadline, DeadlineState, Delivery, Event, EventId, State, StateKind, TenantId};

use crate::context::Pipeline;
use crate::deliver::ended;
use crate::ports::StoreError;
use crate::store::deliveries::Saved;
use crate::work::WorkError;

/// How many deliveries are read at a time.
const PAGE: usize = 100;

/// How many of a deadline's latest events are looked through.
const LATEST: usize = 100;

impl Pipeline {
    /// Whether a delivery reminds of something that is not owed any more: its deadline is closed, moved or changed.
    pub(crate) async fn is_not_owed(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> Result<bool, StoreError> {
        let Some(mark) = &delivery.deadline else { return Ok(false) };
        let deadline = self.deadline(tenant, &mark.id).await?;
        Ok(deadline.is_none_or(|deadline| !deadline.owes(mark)))
    }

    /// Takes back the planned reminders of a deadline that it does not owe any more. What is planned meanwhile, or missing
    /// from the list for a moment, is kept back when it falls due.
    pub(crate) async fn take_back_reminders(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
    ) -> Result<(), WorkError> {
        for event in self.reminder_events(tenant, &deadline.id, LATEST).await? {
            self.take_back_of(tenant, deadline, &event).await?;
        }
        Ok(())
    }

    /// Takes back what an event of a deadline plans and is not owed.
    async fn take_back_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        event: &EventId,
    ) -> Result<(), WorkError> {
        let mut after = None;
        loop {
            let (page, next) = self.deliveries_of(tenant, event, PAGE, after).await?;
            for delivery in page {
                self.take_back_one(tenant, deadline, delivery).await?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes back what fan-out has planned for a deadline that was closed or changed meanwhile.
    pub(crate) async fn take_back_if_not_owed(
        &self,
        tenant: &TenantId,
        event: &Event,
    ) -> Result<(), WorkError> {
        let Some(of) = event.reminder.as_ref().filter(|of| of.offset.is_some()) else { return Ok(()) };
        match self.deadline(tenant, &of.deadline).await? {
            Some(deadline) if deadline.state == DeadlineState::Open && deadline.edition == of.edition => {
                Ok(())
            }
            Some(deadline) => self.take_back_of(tenant, &deadline, &event.id).await,
            None => Ok(()),
        }
    }

    async fn take_back_one(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        mut before: Delivery,
    ) -> Result<(), WorkError> {
        loop {
            let waits =
                matches!(before.state.kind(), StateKind::Pending | StateKind::Held | StateKind::Retrying);
            if !waits || before.deadline.as_ref().is_none_or(|mark| deadline.owes(mark)) {
                return Ok(());
            }
            let gone = ended(&before, State::Cancelled(PlainReason::DeadlineClosed.into()), self.now());
            match self.save_delivery(tenant, before, gone).await? {
                Saved::Done(_) => return Ok(()),
                Saved::Overtaken(found) => before = *found,
            }
        }
    }
}
