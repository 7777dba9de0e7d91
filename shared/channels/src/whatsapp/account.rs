//! What Meta says about the business account itself: the status, category and quality of templates, the quality of
//! numbers. Kept in Meta's words, shortened; an unknown field of a webhook says nothing here.

use std::collections::BTreeMap;

use carillon_pipeline::store::provider_templates::AccountNews;
use serde_json::Value;

/// How much of one of Meta's words is kept.
const KEPT_CHARS: usize = 100;

/// Reads the `value` of a change with this `field`; none when it is not about the account.
#[must_use]
pub fn parse(field: &str, value: &Value) -> Option<AccountNews> {
    let words: &[(&'static str, &str)] = match field {
        "message_template_status_update" => &[("status", "event"), ("reason", "reason")],
        "template_category_update" => &[("category", "new_category")],
        "message_template_quality_update" => &[("quality", "new_quality_score")],
        "phone_number_quality_update" => {
            let facts = facts(value, &[("event", "event"), ("limit", "current_limit")]);
            let display: String = value["display_phone_number"]
                .as_str()?
                .chars()
                .filter(char::is_ascii_digit)
                .take(20)
                .collect();
            return (!display.is_empty()).then_some(AccountNews::Number { display, facts });
        }
        _ => return None,
    };
    let name = named(&value["message_template_name"])?;
    let language = named(&value["message_template_language"])?;
    Some(AccountNews::Template { name, language, facts: facts(value, words) })
}

fn facts(value: &Value, words: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
    let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(KEPT_CHARS).collect::<String>();
    words.iter().filter_map(|(ours, theirs)| Some((*ours, short(value[*theirs].as_str()?)))).collect()
}

/// A template's name or language: nothing that could not stand in a key.
fn named(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let plain = !text.is_empty()
        && text.len() <= 512
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    plain.then(|| text.to_owned())
}
