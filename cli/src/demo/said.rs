//! What arrived: from the providers' outbox, matched by the token that each call carried, and from the readers' feeds.

use std::collections::BTreeMap;

use carillon_domain::{Channel, DeliveryId, Token};
use serde::Deserialize;
use serde_json::Value;

use super::Told;
use crate::client::{CallError, Client};
use crate::headline::of_approved;
use crate::log::field;

/// How many items of a feed are read.
const FEED: usize = 10_000;

/// A message as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// The line it is recognised by.
    pub headline: String,
    /// Its readings: an email has two, with and without HTML, and each has to say everything.
    pub readings: Vec<(&'static str, String)>,
    /// How often it arrived.
    pub copies: usize,
}

/// What the providers received and nobody has claimed yet.
#[derive(Debug)]
pub(super) struct Outbox {
    by_delivery: BTreeMap<String, Vec<Item>>,
    without_token: usize,
}

#[derive(Debug, Deserialize)]
struct Item {
    channel: Channel,
    subject: Option<String>,
    text: String,
    html: Option<String>,
    template: Option<Template>,
    token: Option<Token>,
}

#[derive(Debug, Deserialize)]
struct Template {
    name: String,
}

impl Outbox {
    /// Reads everything that was received.
    pub(super) async fn read(client: &Client) -> Result<Self, CallError> {
        let path = "/dev/outbox.json";
        let mut answer = client.get(path).await?;
        let items: Result<Vec<Item>, _> = serde_json::from_value(answer["items"].take());
        let items = items.map_err(|_| CallError::Unreadable { call: format!("GET {path}"), status: 200 })?;
        Ok(Self::of(items))
    }

    fn of(items: Vec<Item>) -> Self {
        let mut outbox = Self { by_delivery: BTreeMap::new(), without_token: 0 };
        for item in items {
            match &item.token {
                Some(token) => outbox.by_delivery.entry(token.delivery.to_string()).or_default().push(item),
                None => outbox.without_token += 1,
            }
        }
        outbox
    }

    fn claim(&mut self, id: &DeliveryId) -> Option<Said> {
        let items = self.by_delivery.remove(&id.to_string())?;
        let (copies, item) = (items.len(), items.into_iter().next()?);
        let Item { channel, subject, text, html, template, .. } = item;
        let subject = subject.unwrap_or_default();
        let headline = match (&template, channel) {
            (Some(template), _) => of_approved(&template.name, &text.lines().collect::<Vec<_>>()),
            (None, Channel::Email) => subject.clone(),
            (None, _) => text.lines().next().unwrap_or_default().to_owned(),
        };
        let mut readings = vec![("text", format!("{subject}\n{text}"))];
        readings.extend(html.map(|html| ("HTML", format!("{subject}\n{}", unescaped(&html)))));
        Some(Said { headline, readings, copies })
    }

    /// What the providers received and no delivery accounts for.
    pub(super) fn strays(&self) -> Vec<String> {
        let mut strays: Vec<String> = self
            .by_delivery
            .keys()
            .map(|id| {
                format!("a provider was given a message of the delivery {id}, which belongs to no sample")
            })
            .collect();
        if self.without_token > 0 {
            strays.push(format!("providers were given {} messages without a token", self.without_token));
        }
        strays
    }
}

/// Adds to each delivery what its reader sees.
pub(super) async fn hear(client: &Client, outbox: &mut Outbox, told: &mut [Told]) -> Result<(), CallError> {
    for told in told {
        told.said = match told.channel {
            Channel::Whatsapp | Channel::Email => outbox.claim(&told.id),
            Channel::InApp => in_feed(client, told).await?,
        };
    }
    Ok(())
}

async fn in_feed(client: &Client, told: &Told) -> Result<Option<Said>, CallError> {
    let query = [("recipient", told.recipient_id.to_string())];
    let feed = client.list("/v1/inbox", &query, FEED).await?;
    let id = told.id.to_string();
    let items: Vec<&Value> = feed.iter().filter(|item| field(item, "id") == id).collect();
    Ok(items.first().map(|item| {
        let title = field(item, "title");
        let readings = vec![("text", format!("{title}\n{}", field(item, "body")))];
        Said { headline: title, readings, copies: items.len() }
    }))
}

/// HTML with the characters that templates escape as a reader sees them.
fn unescaped(html: &str) -> String {
    let names =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&#x2f;", "/")];
    // The ampersand last: what was written as text must not become a name.
    names
        .iter()
        .fold(html.to_owned(), |html, (name, character)| html.replace(name, character))
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn html_is_read_as_it_is_shown() {
        assert_eq!(unescaped("Gumbo &amp; Sons&#x2f;&lt;b&gt; &amp;lt;"), "Gumbo & Sons/<b> &lt;");
    }

    #[test]
    fn an_email_has_two_readings_and_what_is_not_claimed_is_a_stray() {
        let token = Token { delivery: super::super::compare::tests::delivery_id(Channel::Email), call: 1 };
        let item = json!({"channel": "email", "to": "ada@example.com", "subject": "Hello", "text": "x", "html": "<p>x</p>", "token": token});
        let mut outbox = Outbox::of(serde_json::from_value(json!([item, item])).unwrap());
        assert_eq!(outbox.strays().len(), 1);
        assert!(outbox.claim(&super::super::compare::tests::delivery_id(Channel::Whatsapp)).is_none());
        let said = outbox.claim(&token.delivery).unwrap();
        assert_eq!((said.headline.as_str(), said.copies, said.readings.len()), ("Hello", 2, 2));
        assert_eq!(outbox.strays(), Vec::<String>::new());
    }
}
