//! Sends every template to one recipient, one after the other, and says what became of each message.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon_domain::{Channel, Template, TemplateName};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{data, sample_of};
use crate::client::{CallError, Client, encoded};
use crate::log::field;
use crate::outcome::{Done, Failure};
use crate::pack::{Pack, Sample};
use crate::table::table;
use crate::words::{counted, quoted};

/// How long one template may take until its messages are on their way, or have ended.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// How long receipts are waited for after the last template: a provider may take its time, and `sent` is an answer too.
const RECEIPTS_WITHIN: Duration = Duration::from_secs(5);

/// How often the cloud is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A template on a channel, and what became of it.
#[derive(Debug)]
struct Sent {
    template: String,
    channel: String,
    state: String,
    /// The reason of the state, and a note.
    why: String,
    /// Where it is in the log; empty when there is no delivery.
    event_id: String,
}

/// Sends them and follows them.
///
/// # Errors
/// When there is no such recipient, or the API refuses or cannot be reached.
pub(super) async fn send_all(client: &Client, packs: &[Pack], recipient: &str) -> Result<Done, Failure> {
    if client.find(&format!("/v1/recipients/{}", encoded(recipient))).await?.is_none() {
        let fix = "put them in with carillon recipients import FILE";
        return Err(Failure::Fault(format!("there is no recipient {}; {fix}", quoted(recipient))));
    }
    let mut sent = Vec::new();
    for pack in packs {
        let channels = configured(client, pack).await?;
        for (name, template, sample) in in_order(pack) {
            let Some(sample) = sample else {
                sent.push(unsent(name, "", format!("no sample of the pack {} fills it", pack.name)));
                continue;
            };
            let spoken = Channel::ALL.into_iter().filter(|channel| speaks(template, *channel));
            let (ready, missing): (Vec<Channel>, Vec<Channel>) = spoken.partition(|c| channels.contains(c));
            let why = |channel: &Channel| format!("no provider is configured; PUT /v1/channels/{channel}");
            sent.extend(missing.iter().map(|channel| unsent(name, channel.as_str(), why(channel))));
            if !ready.is_empty() {
                let event = event(pack, sample, name, &ready, recipient);
                sent.extend(send(client, pack, name, &event).await?);
            }
        }
    }
    hear_receipts(client, &mut sent).await?;
    Ok(done(&sent, recipient))
}

/// The channels of a pack that messages can leave on; the feed needs no provider.
async fn configured(client: &Client, pack: &Pack) -> Result<BTreeSet<Channel>, CallError> {
    let mut configured = BTreeSet::from([Channel::InApp]);
    for channel in [Channel::Whatsapp, Channel::Email] {
        let used = pack.templates.values().any(|template| speaks(template, channel));
        if used && client.find(&format!("/v1/channels/{channel}")).await?.is_some() {
            configured.insert(channel);
        }
    }
    Ok(configured)
}

/// Whether every locale has a part for the channel: which one the recipient reads is the cloud's to say.
fn speaks(template: &Template, channel: Channel) -> bool {
    template.locales.values().all(|parts| parts.speaks(channel))
}

/// The templates in the order in which the samples come to them; those without a sample at the end.
fn in_order(pack: &Pack) -> Vec<(&TemplateName, &Template, Option<&Sample>)> {
    let mut templates: Vec<_> =
        pack.templates.iter().map(|(name, template)| (name, template, sample_of(pack, name))).collect();
    let place = |sample: &Sample| pack.samples.iter().position(|other| std::ptr::eq(other, sample));
    templates.sort_by_key(|(_, _, sample)| sample.and_then(place).unwrap_or(usize::MAX));
    templates
}

/// The sample's event, to nobody but the recipient, and without an id: sending again is another event.
fn event(pack: &Pack, sample: &Sample, name: &TemplateName, channels: &[Channel], recipient: &str) -> Value {
    let mut event = json!({
        "type": sample.event_type, "source": "carillon test-templates", "data": data(sample), "template": name,
        "channels": channels, "recipients": {"ids": [recipient], "replace": true},
    });
    if let Some(subject) = sample.event.get("subject") {
        event["subject"] = subject.clone();
    }
    if let Some(route) = pack.routes.get(&sample.event_type) {
        event["category"] = json!(route.category);
    }
    event
}

/// Posts an event and waits until its messages are on their way or wait for something that is not time's alone.
async fn send(
    client: &Client,
    pack: &Pack,
    name: &TemplateName,
    event: &Value,
) -> Result<Vec<Sent>, CallError> {
    let accepted = match client.post("/v1/events", event).await {
        Ok(accepted) => accepted,
        Err(CallError::Refused { problem, .. }) if problem.status == 422 => {
            let missing = problem.errors.iter().any(|error| error.pointer == "/template");
            let fix = format!("template missing; carillon templates load --pack {}", quoted(&pack.name));
            return Ok(vec![unsent(name, "", if missing { fix } else { problem.detail })]);
        }
        Err(error) => return Err(error),
    };
    let event_id = field(&accepted, "event_id");
    let path = format!("/v1/events/{}", encoded(&event_id));
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let view = client.get(&path).await?;
        let deliveries = client.list(&format!("{path}/deliveries"), &[], usize::MAX).await?;
        let waits = |d: &Value| field(d, "state") == "held";
        let rest = view["settled"] == json!(true)
            || (view["planned"].is_u64() && !deliveries.is_empty() && deliveries.iter().all(waits));
        if rest || Instant::now() >= deadline {
            return Ok(deliveries
                .iter()
                .map(|delivery| became(delivery, name.as_str(), &event_id))
                .collect());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Looks again at what was sent until its receipts are there, or have been waited for long enough.
async fn hear_receipts(client: &Client, sent: &mut [Sent]) -> Result<(), CallError> {
    let deadline = Instant::now() + RECEIPTS_WITHIN;
    while Instant::now() < deadline && sent.iter().any(|s| s.state == "sent") {
        sleep(LOOK_EVERY).await;
        for one in sent.iter_mut().filter(|s| s.state == "sent") {
            let path = format!("/v1/events/{}/deliveries", encoded(&one.event_id));
            let deliveries = client.list(&path, &[], usize::MAX).await?;
            if let Some(delivery) = deliveries.iter().find(|d| field(d, "channel") == one.channel) {
                *one = became(delivery, &one.template, &one.event_id);
            }
        }
    }
    Ok(())
}

fn became(delivery: &Value, template: &str, event_id: &str) -> Sent {
    let why = [field(delivery, "reason"), field(delivery, "note")];
    Sent {
        template: template.to_owned(),
        channel: field(delivery, "channel"),
        state: field(delivery, "state"),
        why: why.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "),
        event_id: event_id.to_owned(),
    }
}

fn unsent(name: &TemplateName, channel: &str, why: String) -> Sent {
    let (template, channel) = (name.to_string(), channel.to_owned());
    Sent { template, channel, state: "not sent".to_owned(), why, event_id: String::new() }
}

/// How many of a channel's messages got how far; a message that was delivered was sent too.
#[derive(Debug, Default)]
struct Counts {
    sent: usize,
    delivered: usize,
    failed: usize,
    skipped: usize,
    open: usize,
}

impl Counts {
    fn count(&mut self, state: &str) {
        match state {
            "sent" => self.sent += 1,
            "delivered" | "read" => {
                self.sent += 1;
                self.delivered += 1;
            }
            "skipped" => self.skipped += 1,
            "failed" | "expired" | "cancelled" | "not sent" => self.failed += 1,
            _ => self.open += 1,
        }
    }
}

fn done(sent: &[Sent], recipient: &str) -> Done {
    let mut by_channel: BTreeMap<&str, Counts> = BTreeMap::new();
    for one in sent {
        by_channel
            .entry(if one.channel.is_empty() { "none" } else { &one.channel })
            .or_default()
            .count(&one.state);
    }
    let row = |s: &Sent| [s.template.clone(), s.channel.clone(), s.state.clone(), s.why.clone()];
    let rows: Vec<[String; 4]> = sent.iter().map(row).collect();
    let mut text = table(["template", "channel", "state", "reason"], &rows);
    for (channel, Counts { sent, delivered, failed, skipped, open }) in &by_channel {
        let mut line = format!("{channel}: {sent} sent, {delivered} delivered, {failed} failed");
        for (count, word) in [(skipped, "skipped"), (open, "still waiting")] {
            if *count > 0 {
                line = format!("{line}, {count} {word}");
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    let templates: BTreeSet<&str> = sent.iter().map(|s| s.template.as_str()).collect();
    text = format!("{text}{} to {}", counted(templates.len(), "template"), quoted(recipient));
    let items: Vec<Value> = sent
        .iter()
        .map(|s| {
            json!({
                "template": s.template, "channel": s.channel, "state": s.state, "reason": s.why, "event_id": s.event_id,
            })
        })
        .collect();
    let statistics: BTreeMap<&str, Value> = by_channel
        .iter()
        .map(|(channel, c)| {
            let counts = json!({
                "sent": c.sent, "delivered": c.delivered, "failed": c.failed, "skipped": c.skipped, "open": c.open,
            });
            (*channel, counts)
        })
        .collect();
    let found_fault = by_channel.values().any(|counts| counts.failed + counts.open > 0);
    let json = json!({"recipient": recipient, "items": items, "statistics": statistics});
    Done { text, json, found_fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_counts_and_what_was_delivered_was_sent() {
        let name: TemplateName = "order".parse().unwrap();
        let mut sent: Vec<Sent> = [("email", "delivered", ""), ("whatsapp", "failed", "rejected:131026")]
            .map(|(channel, state, reason)| {
                became(&json!({"channel": channel, "state": state, "reason": reason}), "order", "e")
            })
            .into();
        sent.push(became(
            &json!({"channel": "email", "state": "skipped", "reason": "no_address"}),
            "due",
            "f",
        ));
        sent.push(unsent(&name, "whatsapp", "no provider is configured".to_owned()));
        let done = done(&sent, "ada");
        assert!(done.found_fault);
        assert_eq!(
            done.text,
            "TEMPLATE  CHANNEL   STATE      REASON\n\
             order     email     delivered\n\
             order     whatsapp  failed     rejected:131026\n\
             due       email     skipped    no_address\n\
             order     whatsapp  not sent   no provider is configured\n\
             email: 1 sent, 1 delivered, 0 failed, 1 skipped\n\
             whatsapp: 0 sent, 0 delivered, 2 failed\n\
             2 templates to ada"
        );
    }
}
