//! What people do on WhatsApp: the `messages[]` and `user_preferences[]` of one `changes[].value` of a webhook. A text is
//! looked at for keywords here and goes no further. Every field may be missing or odd; record-inbound comes next.

use carillon_domain::acknowledge::read_payload;
use carillon_domain::keyword::Keyword;
use carillon_domain::{Address, Timestamp, phone};
use carillon_pipeline::inbound::{Inbound, Said};
use serde_json::Value;

use super::receipts::seconds;

/// A type that people do not write: Meta says that somebody changed their number, or the like.
const SYSTEM: &str = "system";

/// Reads what people did. `received_at` stands in for a time that Meta did not give. What names nobody is left out.
#[must_use]
pub fn parse(value: &Value, received_at: Timestamp) -> Vec<Inbound> {
    let list = |name: &str| value[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let messages = list("messages")
        .iter()
        .filter(|message| message["type"] != SYSTEM)
        .map(|message| (message, ["from", "from_user_id"], said(message)));
    let wishes = list("user_preferences").iter().filter_map(|wish| {
        let wanted = match wish["value"].as_str()? {
            "stop" => false,
            "resume" => true,
            _ => return None,
        };
        let marketing = wish["category"] == "marketing_messages";
        marketing.then_some((wish, ["wa_id", "user_id"], Said::Marketing(wanted)))
    });
    let read = |(what, [phone, bsuid], said): (&Value, [&str; 2], Said)| {
        let phone = what[phone].as_str().and_then(phone_of).map(Address::Phone);
        let bsuid = what[bsuid].as_str().filter(|id| is_bsuid(id)).map(|id| Address::Bsuid(id.to_owned()));
        let from: Vec<Address> = phone.into_iter().chain(bsuid).collect();
        let at = seconds(&what["timestamp"]).unwrap_or(received_at);
        (!from.is_empty()).then_some(Inbound { from, at, said })
    };
    messages.chain(wishes).filter_map(read).collect()
}

/// What a message says: that its writer has seen another one, or what its words are.
fn said(message: &Value) -> Said {
    let keyword = keyword(message);
    let pressed = [&message["button"]["payload"], &message["interactive"]["button_reply"]["id"]];
    match pressed.iter().filter_map(|payload| payload.as_str()).find_map(read_payload) {
        Some(token) => Said::Acknowledged(keyword, token),
        None => Said::Message(keyword),
    }
}

/// The words of a message, wherever its type keeps them: typed, or on the button that was pressed.
fn keyword(message: &Value) -> Option<Keyword> {
    let places = [
        &message["text"]["body"],
        &message["button"]["text"],
        &message["button"]["payload"],
        &message["interactive"]["button_reply"]["title"],
        &message["interactive"]["list_reply"]["title"],
    ];
    places.iter().filter_map(|text| text.as_str()).find_map(Keyword::of)
}

/// Meta writes a number as digits alone, with its country's code.
fn phone_of(wa_id: &str) -> Option<String> {
    phone::to_e164(&format!("+{}", wa_id.trim_start_matches('+')), None).ok()
}

fn is_bsuid(text: &str) -> bool {
    text.len() <= 140
        && text.split_once('.').is_some_and(|(country, id)| country.len() == 2 && !id.is_empty())
}
