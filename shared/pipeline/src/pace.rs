//! Pacing: what goes on a channel's queue gets a slot first, so that providers are called no faster than they allow.
//! Slots are reserved for many messages at once, on a clock for each tenant, channel and lane. A slot within a minute is
//! waited for in the queue; what comes later is `held(pacing)`, keeps its slot, and sweep-due hands it over a minute
//! before. fan-out, sweep-due and whoever else queues deliveries come here.

use std::collections::BTreeMap;

use carillon_domain::pacing::{ChannelPace, Lane, PAIR_BURST, Slots};
use carillon_domain::{Address, Channel, Delivery, HeldReason, State, TenantId, Timestamp};
use jiff::SignedDuration;

use crate::context::Pipeline;
use crate::deliver::plus;
use crate::ports::{Check, Item, Key, Message, StoreError, Write};
use crate::store::keys;
use crate::work::DeliveryWork;

/// How long before its slot a delivery is on its queue at most.
pub(crate) const HANDED_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// A slot that was missed by so much is given up: many that were missed together must not go together.
const MISSED: SignedDuration = SignedDuration::from_secs(5);

/// How often a reservation is repeated that others came before.
const REPEATS: u32 = 20;

/// The longest wait between two of them.
const REPEAT_MS: u64 = 50;

/// Whether a deployment paces its channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// It does not: everything goes as fast as it can.
    #[default]
    Off,
    /// As Meta and SES allow, and as tenants set.
    Meta,
}

impl std::str::FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "meta" => Ok(Self::Meta),
            _ => Err(format!("{text:?} is neither off nor meta")),
        }
    }
}

impl Pipeline {
    /// Gives each of these deliveries that is about to be queued its slot. One that has to wait for longer than a minute
    /// is held instead.
    pub(crate) async fn pace<'a>(
        &self,
        tenant: &TenantId,
        deliveries: impl IntoIterator<Item = &'a mut Delivery>,
    ) -> Result<(), StoreError> {
        if self.pace == Pace::Off {
            return Ok(());
        }
        let mut groups: BTreeMap<(Channel, Lane), Vec<&mut Delivery>> = BTreeMap::new();
        for delivery in deliveries.into_iter().filter(|d| d.state == State::Pending) {
            groups.entry((delivery.channel, Lane::of(delivery.priority))).or_default().push(delivery);
        }
        for ((channel, lane), group) in groups {
            let Some(slots) = self.slots(tenant, channel, lane, group.len()).await? else { continue };
            let now = self.now();
            for (n, delivery) in group.into_iter().enumerate() {
                wait_for(delivery, slots.at(n), now);
            }
        }
        Ok(())
    }

    /// The same for a delivery that has waited. One that waited for its slot keeps it, unless it has missed it.
    pub(crate) async fn pace_again(
        &self,
        tenant: &TenantId,
        before: &Delivery,
        next: &mut Delivery,
    ) -> Result<(), StoreError> {
        let now = self.now();
        match (&before.state, before.held_until) {
            (State::Held(HeldReason::Pacing), Some(slot)) if plus(slot, MISSED) >= now => {
                wait_for(next, slot, now);
                Ok(())
            }
            _ => self.pace(tenant, [next]).await,
        }
    }

    /// The queue message of a delivery; the queue keeps it back until shortly before its slot.
    pub(crate) fn queued(&self, work: &DeliveryWork) -> Message {
        let wait = work.delivery.held_until.map(|slot| slot.duration_since(self.now()).as_secs());
        let longest = HANDED_AHEAD.as_secs();
        let delay_s = wait.and_then(|s| u32::try_from(s.clamp(0, longest)).ok()).unwrap_or(0);
        Message { delay_s, ..work.message() }
    }

    /// Lets a channel's clocks go on from an instant: its provider takes nothing before.
    pub(crate) async fn pace_from(
        &self,
        tenant: &TenantId,
        channel: Channel,
        from: Timestamp,
    ) -> Result<(), StoreError> {
        if self.pace == Pace::Off {
            return Ok(());
        }
        for lane in Lane::ALL {
            let free = |free_us: Option<i64>| free_us.unwrap_or(i64::MIN).max(from.as_microsecond());
            self.move_clock(&keys::pace(tenant, channel, lane.as_str()), free).await?;
        }
        Ok(())
    }

    /// Reserves slots; none for a channel without a rate. What is urgent takes the normal lane's when that is done sooner.
    async fn slots(
        &self,
        tenant: &TenantId,
        channel: Channel,
        lane: Lane,
        wanted: usize,
    ) -> Result<Option<Slots>, StoreError> {
        let Some(rate) = self.channel_pace(tenant, channel).await? else { return Ok(None) };
        let mut lane = lane;
        if lane == Lane::Urgent {
            let clocks = Lane::ALL.map(|lane| keys::pace(tenant, channel, lane.as_str()));
            let found = self.table.get_many(&clocks).await?;
            let done = |(lane, clock): &(Lane, Option<Item>)| {
                let free_us = clock.as_ref().and_then(free_us);
                Slots::next(free_us, self.now(), lane.every_us(rate.per_s)).free_after_us(wanted)
            };
            let sooner = Lane::ALL.into_iter().zip(found).min_by_key(done);
            lane = sooner.map_or(lane, |(lane, _)| lane);
        }
        let now = self.now();
        let next = |free_us| Slots::next(free_us, now, lane.every_us(rate.per_s));
        let key = keys::pace(tenant, channel, lane.as_str());
        let before = self.move_clock(&key, |free_us| next(free_us).free_after_us(wanted)).await?;
        Ok(Some(next(before)))
    }

    /// Moves a clock on and answers where it was.
    async fn move_clock(
        &self,
        key: &Key,
        next: impl Fn(Option<i64>) -> i64,
    ) -> Result<Option<i64>, StoreError> {
        let mut found = self.table.get(key).await?;
        for _ in 0..REPEATS {
            let before = found.as_ref().and_then(free_us);
            let write = Write::Update {
                key: key.clone(),
                set: vec![(FREE_US.to_owned(), next(before).into())],
                add: Vec::new(),
                remove: Vec::new(),
                only_if: vec![match before {
                    Some(free) => Check::Equals(FREE_US, free.into()),
                    None => Check::Missing(FREE_US),
                }],
            };
            match self.table.write(write).await {
                Ok(_) => return Ok(before),
                // Our own write, repeated below, looks the same: a slot too many is left out then, never one doubled.
                Err(StoreError::Conflict(now)) => found = now,
                Err(error) => return Err(error),
            }
            let mut dice = [0; 4];
            self.entropy.fill(&mut dice);
            let wait_ms = (REPEAT_MS * u64::from(u32::from_be_bytes(dice))) >> 32;
            self.clock.sleep(std::time::Duration::from_millis(wait_ms)).await;
        }
        Err(StoreError::Unavailable("too many reserve slots of one channel at once".to_owned()))
    }

    async fn channel_pace(
        &self,
        tenant: &TenantId,
        channel: Channel,
    ) -> Result<Option<ChannelPace>, StoreError> {
        Ok(self.settings(tenant).await?.pacing.get(&channel).copied().or(ChannelPace::default_of(channel)))
    }

    /// Takes a slot of one recipient, if the tenant counts them. Answers until when the message has to wait when there is
    /// none. Costs a read and a write.
    pub(crate) async fn pair_wait(
        &self,
        tenant: &TenantId,
        channel: Channel,
        to: &Address,
    ) -> Result<Option<Timestamp>, StoreError> {
        if self.pace == Pace::Off {
            return Ok(None);
        }
        let pace = self.channel_pace(tenant, channel).await?;
        let counted = pace.and_then(|pace| Some((pace.pair_every_s?, pace.pair_burst.unwrap_or(PAIR_BURST))));
        let Some((seconds, burst)) = counted else { return Ok(None) };
        let Some(hash) = self.address_hash(tenant, channel, to) else { return Ok(None) };
        let (now_us, every_us) = (self.now().as_microsecond(), i64::from(seconds) * 1_000_000);
        let most_us = now_us + every_us * i64::from(burst);
        let after = |free_us: Option<i64>| free_us.unwrap_or(now_us).max(now_us) + every_us;
        // Full: the clock stays as it is.
        let next = |free_us: Option<i64>| match free_us {
            Some(free) if after(Some(free)) > most_us => free,
            free => after(free),
        };
        let before = self.move_clock(&keys::pair_pace(tenant, channel, &hash), next).await?;
        let over_us = after(before) - most_us;
        Ok((over_us > 0).then(|| plus(self.now(), SignedDuration::from_micros(over_us))))
    }
}

/// The attribute of a clock that says from when on it is free, in microseconds since 1970.
const FREE_US: &str = "free_us";

fn free_us(clock: &Item) -> Option<i64> {
    clock.get(FREE_US)?.as_i64()
}

/// Lets a delivery wait for its slot: in its queue, or held when that is too long for a queue.
fn wait_for(delivery: &mut Delivery, slot: Timestamp, now: Timestamp) {
    if slot <= now {
        return;
    }
    delivery.held_until = Some(slot);
    if slot > plus(now, HANDED_AHEAD) {
        delivery.state = State::Held(HeldReason::Pacing);
        delivery.retry_at = None;
    }
}
