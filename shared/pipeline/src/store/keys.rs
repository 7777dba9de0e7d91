//! Every key of the table is built here. Each carries the tenant, so that no query can be written without one; the
//! exceptions are [`lookups`], which yield a tenant, or keys bound to one.

mod counters;
pub(crate) mod deadlines;
mod events;
mod inbox;
pub(crate) mod lookups;
mod problems;
mod waits;

use carillon_domain::{
    Channel, DeliveryId, EventId, EventType, GroupName, JobId, RecipientId, RecipientKey, ScheduleName,
    TemplateName, TenantId, Timestamp,
};

use crate::ports::{Index, Key, Query};

pub(crate) use counters::{
    COUNTER_SHARDS, bounds, counted_place, counter, counters, credits, tenant_of_delivery,
};
pub(crate) use events::{
    EVENT_SHARDS, deliveries_of, event, event_acknowledged, event_begun, event_cancelled, event_cut,
    event_part, event_parts, event_plan, event_step, event_strays, everything_of_event, spread_deliveries_of,
    unqueued_event,
};
pub(crate) use inbox::{archived_inbox_item, inbox, inbox_item, inbox_items};
pub(crate) use problems::{admin, admins, health, open_problem, open_problems, problem, problems};
pub(crate) use waits::{
    digest_closing, digest_head, digest_member, digest_member_id, digest_members, throttle,
};

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

/// The tenant's own item.
pub(crate) fn tenant(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "TENANT")
}

/// The record of an API key, by which its tenant lists it and removes it.
pub(crate) fn key_record(tenant: &TenantId, id: &str) -> Key {
    key(key_records(tenant), id)
}

/// The partition of the records of a tenant's API keys.
pub(crate) fn key_records(tenant: &TenantId) -> String {
    format!("T#{tenant}#KEYS")
}

/// A schedule of a tenant.
pub(crate) fn schedule(tenant: &TenantId, name: &ScheduleName) -> Key {
    key(schedules(tenant), name.as_str())
}

/// The partition of a tenant's schedules.
pub(crate) fn schedules(tenant: &TenantId) -> String {
    format!("T#{tenant}#SCHEDULES")
}

/// The configuration of a channel.
pub(crate) fn channel(tenant: &TenantId, channel: Channel) -> Key {
    key(format!("T#{tenant}"), format!("CHANNEL#{channel}"))
}

/// A route.
pub(crate) fn route(tenant: &TenantId, event_type: &EventType) -> Key {
    key(routes(tenant), event_type.as_str())
}

/// The partition of a tenant's routes.
pub(crate) fn routes(tenant: &TenantId) -> String {
    format!("T#{tenant}#ROUTES")
}

/// A template's head: which versions there are and which is published.
pub(crate) fn template(tenant: &TenantId, name: &TemplateName) -> Key {
    key(templates(tenant), name.as_str())
}

/// The partition of a tenant's templates.
pub(crate) fn templates(tenant: &TenantId) -> String {
    format!("T#{tenant}#TEMPLATES")
}

/// One version of a template.
pub(crate) fn template_version(tenant: &TenantId, name: &TemplateName, version: u32) -> Key {
    key(template_versions(tenant, name), format!("{version:010}"))
}

/// The partition of a template's versions.
pub(crate) fn template_versions(tenant: &TenantId, name: &TemplateName) -> String {
    format!("T#{tenant}#TEMPLATE#{name}")
}

/// A group's head.
pub(crate) fn group(tenant: &TenantId, name: &GroupName) -> Key {
    key(groups(tenant), name.as_str())
}

/// The partition of a tenant's groups.
pub(crate) fn groups(tenant: &TenantId) -> String {
    format!("T#{tenant}#GROUPS")
}

/// A membership.
pub(crate) fn member(
    tenant: &TenantId,
    group: &GroupName,
    recipient: &RecipientKey,
    id: &RecipientId,
) -> Key {
    key(members(tenant, group, shard(recipient.as_str(), MEMBER_SHARDS)), id.as_str())
}

/// How many partitions a group's memberships have: 8,000 writes and 24,000 reads a second. A small group pays for it
/// with a read of each.
pub(crate) const MEMBER_SHARDS: u8 = 8;

/// One shard of the partitions of a group's members.
pub(crate) fn members(tenant: &TenantId, group: &GroupName, shard: u8) -> String {
    format!("T#{tenant}#MEMBERS#{group}#{shard}")
}

/// The list of the groups that a recipient is a member of.
pub(crate) fn memberships(tenant: &TenantId, recipient: &RecipientKey) -> String {
    format!("T#{tenant}#R#{recipient}")
}

/// The partition of everything about one recipient: the person, their deliveries, their inbox.
fn person(tenant: &TenantId, recipient: &RecipientKey) -> String {
    format!("T#{tenant}#R#{recipient}")
}

/// Everything about one recipient.
pub(crate) fn everything_of(
    tenant: &TenantId,
    recipient: &RecipientKey,
    limit: usize,
    after: Option<String>,
) -> Query {
    partition(person(tenant, recipient), limit, after)
}

/// Everything that is kept under an address.
pub(crate) fn everything_at(tenant: &TenantId, address_hash: &str, limit: usize) -> Query {
    partition(format!("T#{tenant}#A#{address_hash}"), limit, None)
}

/// A recipient.
pub(crate) fn recipient(tenant: &TenantId, recipient: &RecipientKey) -> Key {
    key(person(tenant, recipient), "RECIPIENT")
}

/// Whose an address is.
pub(crate) fn address(tenant: &TenantId, address_hash: &str) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), "OWNER")
}

/// That an address may not be sent to on a channel.
pub(crate) fn suppression(tenant: &TenantId, channel: Channel, address_hash: &str) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), format!("SUPPRESSED#{channel}"))
}

/// That nothing is sent on a channel for a while.
pub(crate) fn channel_pause(tenant: &TenantId, channel: Channel) -> Key {
    key(format!("T#{tenant}"), format!("PAUSE#{channel}"))
}

/// That nothing is sent to an address for a while.
pub(crate) fn address_pause(tenant: &TenantId, channel: Channel, address_hash: &str) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), format!("PAUSE#{channel}"))
}

/// How often nobody was reached at an address.
pub(crate) fn unreachable(tenant: &TenantId, channel: Channel, address_hash: &str) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), format!("UNREACHABLE#{channel}"))
}

/// That a fallback was decided for a recipient of an event.
pub(crate) fn fallback(tenant: &TenantId, recipient: &RecipientKey, event: &EventId) -> Key {
    key(person(tenant, recipient), format!("FALLBACK#{event}"))
}

/// When the person at an address last wrote to a WhatsApp number.
pub(crate) fn window(tenant: &TenantId, phone_number_id: &str, address_hash: &str) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), format!("WINDOW#{phone_number_id}"))
}

/// That a delivery waits for the person at an address to write.
pub(crate) fn waiting(tenant: &TenantId, address_hash: &str, delivery: &DeliveryId) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), format!("WAITS#{delivery}"))
}

/// Everything that waits for the person at an address to write.
pub(crate) fn waiting_all(tenant: &TenantId, address_hash: &str, limit: usize) -> Query {
    Query {
        from: Some("WAITS#".to_owned()),
        to: Some("WAITS#~".to_owned()),
        ..partition(format!("T#{tenant}#A#{address_hash}"), limit, None)
    }
}

/// The delivery that waits.
pub(crate) fn waiting_id(key: &Key) -> Option<DeliveryId> {
    key.sk.strip_prefix("WAITS#")?.parse().ok()
}

/// What Meta says about a template in one language.
pub(crate) fn provider_template(tenant: &TenantId, name: &str, language: &str) -> Key {
    key(format!("T#{tenant}#PROVIDER_TEMPLATES"), format!("{name}#{language}"))
}

/// What Meta says about a tenant's templates.
pub(crate) fn provider_templates(tenant: &TenantId, limit: usize) -> Query {
    partition(format!("T#{tenant}#PROVIDER_TEMPLATES"), limit, None)
}

/// What Meta says about a number.
pub(crate) fn provider_number(tenant: &TenantId, display: &str) -> Key {
    key(format!("T#{tenant}#PROVIDER_NUMBERS"), display)
}

/// What Meta says about a tenant's numbers.
pub(crate) fn provider_numbers(tenant: &TenantId, limit: usize) -> Query {
    partition(format!("T#{tenant}#PROVIDER_NUMBERS"), limit, None)
}

/// The list of a tenant's suppressions.
pub(crate) fn suppressions(tenant: &TenantId) -> String {
    format!("T#{tenant}#SUPPRESSIONS")
}

/// That a recipient was told about something that they are told once.
pub(crate) fn told(tenant: &TenantId, recipient: &RecipientKey, about: &str) -> Key {
    key(person(tenant, recipient), format!("TOLD#{about}"))
}

/// From when on a lane of a channel is free.
pub(crate) fn pace(tenant: &TenantId, channel: Channel, lane: &str) -> Key {
    key(format!("T#{tenant}#PACE"), format!("{channel}#{lane}"))
}

/// From when on an address may be written to again on a channel.
pub(crate) fn pair_pace(tenant: &TenantId, channel: Channel, address_hash: &str) -> Key {
    key(format!("T#{tenant}#A#{address_hash}"), format!("PACE#{channel}"))
}

/// What a tenant has stopped.
pub(crate) fn switches(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "SWITCHES")
}

/// Up to which days a tenant's log has been cleared.
pub(crate) fn cleared(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "CLEARED")
}

/// A tenant's settings.
pub(crate) fn settings(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "SETTINGS")
}

/// A delivery.
pub(crate) fn delivery(tenant: &TenantId, id: &DeliveryId) -> Key {
    key(person(tenant, id.recipient()), format!("D#{}#{}", id.event(), id.channel().letter()))
}

/// The delivery that a key read from an index leads to.
pub(crate) fn delivery_id(key: &Key) -> Option<DeliveryId> {
    let recipient = key.pk.rsplit_once("#R#")?.1.to_owned();
    let mut parts = key.sk.strip_prefix("D#")?.split('#');
    let (event, letter) = (parts.next()?.to_owned(), parts.next()?);
    Some(DeliveryId::new(recipient.try_into().ok()?, event.try_into().ok()?, Channel::from_letter(letter)?))
}

/// A job.
pub(crate) fn job(tenant: &TenantId, id: &JobId) -> Key {
    key(format!("T#{tenant}#J#{id}"), "JOB")
}

/// The record of a message that died; of no tenant when nobody can say whose it was.
pub(crate) fn dead_letter(tenant: Option<&TenantId>, id: &str) -> Key {
    key(dead_letter_partition(tenant, id), "DEAD_LETTER")
}

/// A piece of what a dead message said.
pub(crate) fn dead_letter_piece(tenant: Option<&TenantId>, id: &str, piece: usize) -> Key {
    key(dead_letter_partition(tenant, id), format!("PAYLOAD#{piece}"))
}

fn dead_letter_partition(tenant: Option<&TenantId>, id: &str) -> String {
    match tenant {
        Some(tenant) => format!("T#{tenant}#X#{id}"),
        None => lookups::ownerless_dead_letter(id),
    }
}

/// The list of a tenant's dead letters.
pub(crate) fn dead_letters(tenant: &TenantId) -> String {
    format!("T#{tenant}#DEAD_LETTERS")
}

/// Until when a tenant has been told of its failures.
pub(crate) fn failure_notice(tenant: &TenantId) -> Key {
    key(format!("T#{tenant}"), "FAILURE_NOTICE")
}

/// Instants as sort keys: milliseconds since 1970 in a fixed width, so that they sort as text.
pub(crate) fn millis(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond().max(0))
}

/// A query of a whole partition of the table, by name.
pub(crate) fn partition(partition: String, limit: usize, after: Option<String>) -> Query {
    Query { index: Index::Table, partition, from: None, to: None, descending: false, limit, after }
}

/// How many shards a day of a tenant's log has. 8 x 1,000 writes a second is above what one tenant may send.
pub(crate) const DAY_SHARDS: u8 = 8;

/// How many shards a tenant's list of recipients has, so that an import is not held to one partition's write rate.
pub(crate) const RECIPIENT_SHARDS: u8 = 8;

/// How many shards due work has.
pub(crate) const DUE_SHARDS: u8 = 16;

/// How many shards failures have: a burst of 16,000 a second, over all tenants.
pub(crate) const FAILURE_SHARDS: u8 = 16;

/// A shard from the first character of one of our base32 ids: evenly spread, and no second hash.
pub(crate) fn shard(id: &str, shards: u8) -> u8 {
    let value = match id.bytes().next() {
        Some(letter @ b'a'..=b'z') => letter - b'a',
        Some(digit @ b'2'..=b'7') => digit - b'2' + 26,
        _ => 0,
    };
    value % shards
}

/// One shard of the list of a tenant's recipients.
pub(crate) fn recipients(tenant: &TenantId, shard: u8) -> String {
    format!("T#{tenant}#RECIPIENTS#{shard}")
}

/// What a day's log lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logged {
    Events,
    Deliveries,
}

/// One shard of a day of a tenant's log; days count from 1970.
pub(crate) fn day(tenant: &TenantId, what: Logged, day: i64, shard: u8) -> String {
    let letter = match what {
        Logged::Events => 'E',
        Logged::Deliveries => 'D',
    };
    format!("T#{tenant}#H{letter}#{day}#{shard}")
}

/// The day an instant lies in.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(86_400)
}
