//! When each person last wrote to each WhatsApp number, and which deliveries wait for them to write again. An item lies
//! under the keyed hash of the address, beside its suppression; no address is stored.

use carillon_domain::keyword::Keyword;
use carillon_domain::{
    Address, Channel, DeliveryId, Recipient, RecipientId, RecipientKey, TemplateVersion, TenantId, Timestamp,
    window,
};
use jiff::SignedDuration;
use jiff::fmt::serde::timestamp::millisecond::{optional as optional_ms, required as ms};
use serde::{Deserialize, Serialize};

use super::directory::StoredRecipient;
use super::due::window_place;
use super::{from_item, keys, to_item};
use crate::context::Pipeline;
use crate::ports::{Check, Item, Key, StoreError, Write};

/// How long an item outlives its last message: Meta repeats webhooks for seven days, and a word from back then must not
/// undo a later one.
const KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);

/// What one person has written to one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// When free text may not be sent any more; never moved back.
    #[serde(with = "ms")]
    pub(crate) until: Timestamp,
    /// When the latest keyword was written.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub(crate) worded_at: Option<Timestamp>,
    /// That keyword was STOP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stopped: bool,
    /// When somebody is told that it closes; none when nobody is, or has been already.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_ms")]
    pub(crate) remind_at: Option<Timestamp>,
    /// Who wrote, where somebody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<RecipientId>,
    /// Counts the writes.
    rev: u32,
    expires_s: i64,
}

impl Window {
    /// The item after a message; the same when it says nothing new.
    pub(crate) fn after(before: Option<&Self>, at: Timestamp, keyword: Option<Keyword>) -> Self {
        let until = window::until(at);
        let expires_s = until.checked_add(KEPT).unwrap_or(Timestamp::MAX).as_second();
        let mut after = before.cloned().unwrap_or(Self {
            until,
            worded_at: None,
            stopped: false,
            remind_at: None,
            owner: None,
            rev: 0,
            expires_s,
        });
        if until > after.until {
            after.until = until;
            after.expires_s = expires_s;
        }
        if let Some(keyword) = keyword.filter(|keyword| Self::is_news(before, at, *keyword)) {
            after.worded_at = Some(at);
            after.stopped = keyword == Keyword::Stop;
        }
        after
    }

    /// Whether a keyword counts: a later one has not been heard. Meta's times are in seconds; of two words in one second
    /// STOP is obeyed.
    pub(crate) fn is_news(before: Option<&Self>, at: Timestamp, keyword: Keyword) -> bool {
        let known = before.and_then(|window| Some((window.worded_at?, window.stopped)));
        known.is_none_or(|(known, stopped)| {
            at > known || (at == known && keyword == Keyword::Stop && !stopped)
        })
    }
}

impl Pipeline {
    fn window_key(&self, tenant: &TenantId, number: &str, address: &Address) -> Option<Key> {
        let hash = self.address_hash(tenant, Channel::Whatsapp, address)?;
        Some(keys::window(tenant, number, &hash))
    }

    /// The keys of the windows between a number and some addresses, for a read of many things.
    pub(crate) fn window_keys(&self, tenant: &TenantId, number: &str, addresses: &[Address]) -> Vec<Key> {
        addresses.iter().filter_map(|address| self.window_key(tenant, number, address)).collect()
    }

    /// For each of these people whether their WhatsApp window is open. Asks only for a template to which it matters.
    pub(crate) async fn open_windows(
        &self,
        tenant: &TenantId,
        template: &TemplateVersion,
        people: &[(RecipientKey, Option<StoredRecipient>)],
    ) -> Result<Vec<bool>, StoreError> {
        let mut parts = template.template.locales.values();
        if !parts.any(|parts| parts.whatsapp.as_ref().is_some_and(|part| part.text.is_some())) {
            return Ok(vec![false; people.len()]);
        }
        let Some(number) = self.whatsapp_number(tenant).await? else { return Ok(vec![false; people.len()]) };
        let (mut keys, mut whose) = (Vec::new(), Vec::new());
        for (i, (_, person)) in people.iter().enumerate() {
            let written_from = person.as_ref().map(|p| addresses(&p.recipient)).unwrap_or_default();
            for key in self.window_keys(tenant, &number, &written_from) {
                keys.push(key);
                whose.push(i);
            }
        }
        let (now, mut open) = (self.now(), vec![false; people.len()]);
        // A moment old is soon enough: what is closed then goes as a template, or is looked at again when it is held.
        for (i, item) in whose.into_iter().zip(self.table.get_many(&keys).await?) {
            open[i] |= window::is_open(until_of(item)?, now);
        }
        Ok(open)
    }

    /// When the window between a number and a person closes, by any of their addresses; as of now.
    pub(crate) async fn window_until(
        &self,
        tenant: &TenantId,
        number: &str,
        addresses: &[Address],
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut until = None;
        for key in self.window_keys(tenant, number, addresses) {
            until = until.max(until_of(self.table.get(&key).await?)?);
        }
        Ok(until)
    }

    /// What is known of a person who writes, as of now.
    pub(crate) async fn window(
        &self,
        tenant: &TenantId,
        number: &str,
        address: &Address,
    ) -> Result<Option<Window>, StoreError> {
        let Some(key) = self.window_key(tenant, number, address) else { return Ok(None) };
        self.table.get(&key).await?.map(from_item).transpose()
    }

    /// What is known of whoever's address has this keyed hash, as of now.
    pub(crate) async fn window_of(
        &self,
        tenant: &TenantId,
        number: &str,
        address_hash: &str,
    ) -> Result<Option<Window>, StoreError> {
        self.table.get(&keys::window(tenant, number, address_hash)).await?.map(from_item).transpose()
    }

    /// Stores what a person has written. Answers `false` if somebody else wrote the item since it was read.
    pub(crate) async fn put_window(
        &self,
        tenant: &TenantId,
        number: &str,
        address: &Address,
        before: Option<&Window>,
        after: Window,
    ) -> Result<bool, StoreError> {
        let Some(hash) = self.address_hash(tenant, Channel::Whatsapp, address) else { return Ok(true) };
        self.replace_window(tenant, number, &hash, before, after).await
    }

    /// The same, where the keyed hash of the address is all that is known.
    pub(crate) async fn replace_window(
        &self,
        tenant: &TenantId,
        number: &str,
        address_hash: &str,
        before: Option<&Window>,
        mut after: Window,
    ) -> Result<bool, StoreError> {
        let key = keys::window(tenant, number, address_hash);
        let only_if = vec![before.map_or(Check::Absent, |b| Check::Equals("rev", b.rev.into()))];
        after.rev += 1;
        let mut item = to_item(&after)?;
        item.extend(
            after.remind_at.into_iter().flat_map(|at| window_place(tenant, number, address_hash, at)),
        );
        match self.table.write(Write::Put { key, item, only_if }).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes that a delivery waits for a person to write, under each of their addresses.
    pub(crate) async fn put_waiting(
        &self,
        tenant: &TenantId,
        addresses: &[Address],
        delivery: &DeliveryId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        for hash in addresses.iter().filter_map(|a| self.address_hash(tenant, Channel::Whatsapp, a)) {
            let item = Item::from_iter([("expires_s".to_owned(), expires_at.as_second().into())]);
            let key = keys::waiting(tenant, &hash, delivery);
            self.table.write(Write::Put { key, item, only_if: Vec::new() }).await?;
        }
        Ok(())
    }

    /// Some of the deliveries that wait for whoever has this address to write.
    pub(crate) async fn waiting(
        &self,
        tenant: &TenantId,
        address: &Address,
        limit: usize,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let Some(hash) = self.address_hash(tenant, Channel::Whatsapp, address) else { return Ok(Vec::new()) };
        let page = self.table.query(&keys::waiting_all(tenant, &hash, limit)).await?;
        Ok(page.items.iter().filter_map(|(key, _)| keys::waiting_id(key)).collect())
    }

    /// Forgets that a delivery waits.
    pub(crate) async fn delete_waiting(
        &self,
        tenant: &TenantId,
        address: &Address,
        delivery: &DeliveryId,
    ) -> Result<(), StoreError> {
        let Some(hash) = self.address_hash(tenant, Channel::Whatsapp, address) else { return Ok(()) };
        let key = keys::waiting(tenant, &hash, delivery);
        self.table.write(Write::Delete { key, only_if: Vec::new() }).await.map(drop)
    }
}

/// The addresses that a person may write from.
pub(crate) fn addresses(person: &Recipient) -> Vec<Address> {
    let phone = person.phone.clone().map(Address::Phone);
    phone.into_iter().chain(person.bsuid.clone().map(Address::Bsuid)).collect()
}

/// The end of the window in a stored item.
pub(crate) fn until_of(item: Option<Item>) -> Result<Option<Timestamp>, StoreError> {
    Ok(item.map(from_item::<Window>).transpose()?.map(|window| window.until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    #[test]
    fn messages_in_any_order_leave_the_window_of_the_latest_one() {
        for order in [[0, 60, 30], [60, 30, 0], [30, 60, 60]] {
            let window = order.iter().fold(None, |before: Option<Window>, second| {
                Some(Window::after(before.as_ref(), at(*second), None))
            });
            assert_eq!(window.unwrap().until, at(60 + 86_400), "{order:?}");
        }
    }

    #[test]
    fn an_older_keyword_that_comes_again_undoes_nothing() {
        let start = Window::after(None, at(60), Some(Keyword::Start));
        assert!(!Window::is_news(Some(&start), at(30), Keyword::Stop));
        assert!(!Window::is_news(Some(&start), at(60), Keyword::Start));
        assert!(Window::is_news(Some(&start), at(60), Keyword::Stop));
        assert!(Window::is_news(Some(&start), at(61), Keyword::Stop));
        let same = Window::after(Some(&start), at(30), Some(Keyword::Stop));
        assert_eq!(same, start);
    }
}
