//! What every template says on every channel, as the cloud renders it. Nothing is stored or sent.

use std::collections::BTreeMap;

use carillon_domain::{Rendered, TemplateName};
use serde_json::{Value, json};

use super::{data, sample_of};
use crate::client::{CallError, Client, encoded};
use crate::headline::headline;
use crate::outcome::{Done, Failure};
use crate::pack::Pack;
use crate::table::table;
use crate::words::{counted, quoted};

/// One message, or why there is none.
#[derive(Debug)]
struct Tried {
    template: String,
    locale: String,
    channel: String,
    /// What is recognised, or what is wrong.
    says: Result<String, String>,
}

/// Renders every template of the packs.
///
/// # Errors
/// When the API cannot be reached.
pub(super) async fn preview_all(client: &Client, packs: &[Pack]) -> Result<Done, Failure> {
    let mut tried = Vec::new();
    for pack in packs {
        for (name, template) in &pack.templates {
            let data = sample_of(pack, name).map(data);
            for locale in template.locales.keys() {
                match &data {
                    Some(data) => tried.extend(preview(client, pack, name, locale, data).await?),
                    None => tried.push(failed(
                        name,
                        locale,
                        format!("no sample of the pack {} fills it", pack.name),
                    )),
                }
            }
        }
    }
    Ok(done(&tried))
}

async fn preview(
    client: &Client,
    pack: &Pack,
    name: &TemplateName,
    locale: &str,
    data: &Value,
) -> Result<Vec<Tried>, Failure> {
    let path = format!("/v1/templates/{}/preview", encoded(name.as_str()));
    match client.post(&path, &json!({"data": data, "locale": locale})).await {
        Ok(answer) => Ok(messages(name, locale, &answer["rendered"])),
        Err(CallError::Refused { problem, .. }) if problem.status == 404 => {
            let fix = format!("template missing; carillon templates load --pack {}", quoted(&pack.name));
            Ok(vec![failed(name, locale, fix)])
        }
        Err(CallError::Refused { problem, .. }) if problem.status == 422 => {
            let fault = |e: &carillon_domain::FieldError| failed(name, locale, e.detail.clone());
            Ok(problem.errors.iter().map(fault).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn failed(name: &TemplateName, locale: &str, why: String) -> Tried {
    Tried { template: name.to_string(), locale: locale.to_owned(), channel: String::new(), says: Err(why) }
}

/// A row for each message; WhatsApp has two where it matters whether its window is open.
fn messages(name: &TemplateName, locale: &str, rendered: &Value) -> Vec<Tried> {
    let mut tried = Vec::new();
    for (channel, message) in rendered.as_object().into_iter().flatten() {
        let readings = match (message.get("inside_window"), message.get("outside_window")) {
            (Some(inside), Some(outside)) => {
                vec![(format!("{channel}, in 24 h"), inside), (format!("{channel}, approved"), outside)]
            }
            _ => vec![(channel.clone(), message)],
        };
        for (channel, message) in readings {
            let says = serde_json::from_value::<Rendered>(message.clone()).map(|message| headline(&message));
            let says = says.map_err(|_| "the answer is not one of Carillon's API".to_owned());
            tried.push(Tried { template: name.to_string(), locale: locale.to_owned(), channel, says });
        }
    }
    tried
}

fn done(tried: &[Tried]) -> Done {
    let row = |t: &Tried| {
        let (result, says) = match &t.says {
            Ok(says) => ("ok", says),
            Err(why) => ("FAILED", why),
        };
        [t.template.clone(), t.locale.clone(), t.channel.clone(), result.to_owned(), says.clone()]
    };
    let rows: Vec<[String; 5]> = tried.iter().map(row).collect();
    let failed = tried.iter().filter(|t| t.says.is_err()).count();
    let mut templates: Vec<&str> = tried.iter().map(|t| t.template.as_str()).collect();
    templates.dedup();
    let mut by_channel: BTreeMap<&str, usize> = BTreeMap::new();
    for t in tried.iter().filter(|t| t.says.is_ok()) {
        *by_channel.entry(t.channel.split(',').next().unwrap_or_default()).or_default() += 1;
    }
    let counts: Vec<String> = by_channel.iter().map(|(channel, n)| format!("{n} {channel}")).collect();
    let statistics = format!(
        "{}: {} rendered ({}), {failed} failed",
        counted(templates.len(), "template"),
        counted(tried.len() - failed, "message"),
        counts.join(", ")
    );
    let items: Vec<Value> = tried
        .iter()
        .map(|t| {
            json!({
                "template": t.template, "locale": t.locale, "ok": t.says.is_ok(),
                "channel": t.channel.split(',').next(), "variant": t.channel.split_once(", ").map(|(_, variant)| variant),
                "says": t.says.as_ref().ok(), "problem": t.says.as_ref().err(),
            })
        })
        .collect();
    let json = json!({"items": items, "templates": templates.len(), "rendered": tried.len() - failed, "failed": failed});
    let text = format!("{}{statistics}", table(["template", "locale", "channel", "result", "says"], &rows));
    Done { text, json, found_fault: failed > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_its_row_and_the_last_line_counts_them() {
        let name: TemplateName = "order".parse().unwrap();
        let mail = Rendered::Email { subject: "New order".into(), html: "<p>x</p>".into(), text: "x".into() };
        let rendered = json!({"email": mail});
        let mut tried = messages(&name, "en", &rendered);
        tried.push(failed(&name, "fr", "undefined value: data.number".to_owned()));
        let done = done(&tried);
        assert!(done.found_fault);
        assert_eq!(
            done.text,
            "TEMPLATE  LOCALE  CHANNEL  RESULT  SAYS\n\
             order     en      email    ok      New order\n\
             order     fr               FAILED  undefined value: data.number\n\
             1 template: 1 message rendered (1 email), 1 failed"
        );
    }
}
