//! Takes back reminders that were planned and are not owed any more: their deadline was closed, moved or changed. Ends their
//! deliveries as `cancelled(deadline_closed)`; what is planned meanwhile is kept back by the sweep and the last look.

use carillon_domain::state::PlainReason;
use carillon_domain::{
    Deadline, DeadlineMark, DeadlineState, Delivery, Event, EventId, RecipientId, Route, State, StateKind,
    TenantId,
};
use futures_util::future::try_join_all;

use crate::context::Pipeline;
use crate::deliver::ended;
use crate::fan_out::{Planning, Told};
use crate::ports::StoreError;
use crate::store::deliveries::Saved;
use crate::work::WorkError;

/// How many deliveries are read at a time.
const PAGE: usize = 100;

/// How many of a deadline's latest events are looked through.
const LATEST: usize = 100;

/// How many deliveries a call looks at: it has an answer to give. The last look keeps back the rest.
const MOST_A_CALL: usize = 1_000;

/// How many of them are taken back side by side.
const SIDE_BY_SIDE: usize = 20;

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
        let mut left = MOST_A_CALL;
        for event in self.reminder_events(tenant, &deadline.id, LATEST).await? {
            left = self.take_back_of(tenant, deadline, &event, left).await?;
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Decides for a page of recipients, and leaves out what is not owed any more: its deadline was closed, moved or
    /// changed before fan-out came to it. Nobody looks again at what goes into a feed.
    pub(crate) async fn plan_owed_page(
        &self,
        tenant: &TenantId,
        event: &Event,
        route: Option<&Route>,
        page: &[RecipientId],
        told: &Told,
    ) -> Result<Planning, WorkError> {
        let mut planning = self.plan_page(tenant, event, route, page, told).await?;
        if let Some(of) = event.reminder.as_ref().filter(|of| of.offset.is_some()) {
            let deadline = self.deadline(tenant, &of.deadline).await?;
            planning.planned.retain(|one| {
                let mark = one.delivery.deadline.as_ref();
                mark.is_none_or(|mark| deadline.as_ref().is_some_and(|deadline| deadline.owes(mark)))
            });
        }
        Ok(planning)
    }

    /// Takes back what an event of a deadline plans and is not owed. Looks at `most` deliveries, in whole pages; answers
    /// how many are left of these.
    async fn take_back_of(
        &self,
        tenant: &TenantId,
        deadline: &Deadline,
        event: &EventId,
        most: usize,
    ) -> Result<usize, WorkError> {
        let (mut after, mut left) = (None, most);
        loop {
            let (page, next) = self.deliveries_of(tenant, event, PAGE, after).await?;
            for some in page.chunks(SIDE_BY_SIDE) {
                let each = some.iter().map(|one| self.take_back_one(tenant, deadline, one.clone()));
                try_join_all(each).await?;
            }
            left = left.saturating_sub(page.len());
            after = next;
            if after.is_none() || left == 0 {
                return Ok(left);
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
            Some(deadline) => self.take_back_of(tenant, &deadline, &event.id, usize::MAX).await.map(drop),
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
            // What a later form owes is for whoever put that.
            let owed = |mark: &DeadlineMark| deadline.owes(mark) || mark.edition > deadline.edition;
            if !waits || before.deadline.as_ref().is_none_or(owed) {
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
