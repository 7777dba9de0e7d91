//! Two tenants with one of everything each. What only A knows carries a marker, so that a leak is seen wherever it shows.

use std::collections::{BTreeMap, BTreeSet};

use carillon_pipeline::ports::Queue;
use carillon_tests::document::{Operation, operations};
use carillon_tests::{Client, Dev, until};
use serde_json::{Value, json};

/// Stands in every text of A's: names, addresses, subjects, messages, reasons.
pub const SECRET: &str = "amber-secret";

/// What the examples of the document name; both tenants have it, each with texts of its own.
const SHARED: [&str; 3] = ["u-1", "u-2", "u-3"];

/// The day of the cloud's clock, which stands still.
pub const TODAY: &str = "2026-11-20T00:00:00Z";

/// Two tenants in one cloud.
pub struct World {
    /// The cloud; its own tenant is the platform's.
    pub dev: Dev,
    /// A, with every scope of a tenant.
    pub a: Client,
    /// B, the same.
    pub b: Client,
    /// A's ids by the name of the path parameter that takes them.
    pub ids: BTreeMap<&'static str, Vec<String>>,
    /// A's WhatsApp number's id.
    pub number: String,
}

impl World {
    /// Both tenants, and all that A ever sends is at rest.
    pub async fn furnished() -> Self {
        let dev = Dev::virtual_time().await;
        let number = dev.cloud.add_tenant("amber", SECRET).await.expect("a tenant").phone_number_id;
        dev.cloud.add_tenant("birch", "Birch").await.expect("a tenant");
        let a = tenant_key(&dev, "amber").await;
        let b = tenant_key(&dev, "birch").await;
        furnish(&dev, &b, "birch", "birch-own", "+120255501").await;
        let mut ids = furnish(&dev, &a, "amber", SECRET, "+120255501").await;
        ids.insert("tenant", vec!["amber".to_owned()]);
        ids.insert("app", vec!["amber".to_owned()]);
        ids.insert("letter", vec![dead_letter(&dev, &a).await]);
        // Nobody's: who holds the token of a link acts for its reader, whatever their own tenant.
        ids.insert("token", vec!["aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned()]);
        // Nobody's: a job takes a thousand people, who come last, in `with_a_job`.
        ids.insert("job", vec!["aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned()]);
        Self { dev, a, b, ids, number }
    }

    /// A has worked something long besides.
    pub async fn with_a_job(mut self) -> Self {
        self.ids.insert("job", vec![job(&self.a).await]);
        self
    }

    /// Every answer that A can read about itself, by its path.
    pub async fn everything_of_a(&self, document: &Value) -> BTreeMap<String, Value> {
        let mut everything = BTreeMap::new();
        for operation in operations(document) {
            let scope = operation.value["x-scope"].as_str();
            if operation.method != "GET" || scope.is_none() {
                continue;
            }
            let client = if scope == Some("platform") { &self.dev.admin } else { &self.a };
            let by_day = operation.parameters.iter().any(|parameter| parameter["name"] == "from");
            for path in self.paths(&operation) {
                // A list by day looks at each day: nothing is older than the cloud.
                let asked = if by_day { format!("{path}?from={TODAY}") } else { path };
                let answer = whole(client, &asked).await;
                everything.insert(asked, answer);
            }
        }
        everything
    }

    /// An operation's path with A's ids, and with A's recipients where a query must name one.
    pub fn paths(&self, operation: &Operation<'_>) -> Vec<String> {
        let mut paths = vec![operation.path.to_owned()];
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().expect("a name");
            let place = match parameter["in"].as_str() {
                Some("path") => format!("{{{name}}}"),
                // Whose inbox it is, a key has to say.
                Some("query")
                    if (parameter["required"] == true || parameter["x-needed-with-key"] == true)
                        && operation.value["x-scope"].is_string() =>
                {
                    for path in &mut paths {
                        *path = format!("{path}?{name}={{{name}}}");
                    }
                    format!("{{{name}}}")
                }
                _ => continue,
            };
            let values = self.ids.get(name).unwrap_or_else(|| {
                panic!("{} takes a {name}: `furnish` has to make one and name it", operation.path)
            });
            let filled = |path: &String| {
                values.iter().map(|id| path.replace(&place, &encoded(id))).collect::<Vec<_>>()
            };
            paths = paths.iter().flat_map(filled).collect();
        }
        paths
    }

    /// A's ids that nobody else has.
    pub fn ids_of_a_alone(&self) -> BTreeSet<&str> {
        let own = self
            .ids
            .iter()
            .filter(|(name, _)| !["channel", "pack", "tenant", "app", "sweep"].contains(*name));
        own.flat_map(|(_, ids)| ids).map(String::as_str).collect()
    }
}

/// A part of a path.
fn encoded(id: &str) -> String {
    id.replace('#', "%23").replace(' ', "%20")
}

/// An answer, with the items of all pages where it is a list.
async fn whole(client: &Client, path: &str) -> Value {
    let question = if path.contains('?') { '&' } else { '?' };
    let mut answer = client.get(path).await;
    assert!([200, 404].contains(&answer.status), "{path}: {answer:?}");
    let mut items = Vec::new();
    while let Some(cursor) = answer.body["next_cursor"].as_str().map(encoded) {
        items.append(answer.body["items"].as_array_mut().expect("items"));
        answer = client.get(&format!("{path}{question}limit=200&cursor={cursor}")).await;
    }
    if let Some(last) = answer.body["items"].as_array_mut() {
        last.splice(0..0, items);
    }
    json!({"status": answer.status, "body": answer.body})
}

/// A key of a tenant with every scope but the platform's.
async fn tenant_key(dev: &Dev, tenant: &str) -> Client {
    let scopes = ["read", "events:write", "inbox", "manage"];
    let asked = json!({"name": "all", "kind": "live", "scopes": scopes, "tenant": tenant});
    let made = dev.admin.post("/v1/keys", &asked).await;
    dev.admin.with_key(made.body["key"].as_str().unwrap_or_else(|| panic!("{made:?}")))
}

/// Makes one of everything, with a text of the tenant's own in it. Answers the ids by the parameter that takes them.
async fn furnish(
    dev: &Dev,
    client: &Client,
    tag: &str,
    text: &str,
    phones: &str,
) -> BTreeMap<&'static str, Vec<String>> {
    let made = async |method: &str, path: &str, body: Value| -> Value {
        let answer = match method {
            "PUT" => client.put(path, &body).await,
            _ => client.post(path, &body).await,
        };
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.body
    };
    let (ada, bo) = (format!("{tag}-ada"), format!("{tag}-bo"));
    for (number, id) in [ada.as_str(), &bo].into_iter().chain(SHARED).enumerate() {
        let person = json!({
            "name": format!("{text} {id}"), "email": format!("{text}-{id}@example.com"), "phone": format!("{phones}{:02}", number + 10),
            "locale": "en", "time_zone": "Europe/Paris", "roles": ["admin"], "team": true, "data": {"note": text}
        });
        made("PUT", &format!("/v1/recipients/{id}"), person).await;
    }
    let wishes = json!({"reminders": {text: true}});
    made("PUT", &format!("/v1/recipients/{ada}/preferences"), wishes.clone()).await;
    made("PUT", "/v1/system/settings", json!({"preferences": wishes})).await;
    made("PUT", "/v1/channels/email", json!({"from": format!("{text} <n@{tag}.example.com>")})).await;
    let group = format!("{tag} group");
    for name in [&group, "Sales Team"] {
        let body = json!({"description": text, "members": [ada, "u-1"]});
        made("PUT", &format!("/v1/groups/{}", encoded(name)), body).await;
    }
    let (template, event_type) = (format!("{tag}_order"), format!("{tag}.order"));
    for (template, event_type) in
        [(template.as_str(), event_type.as_str()), ("order_created", "order.created")]
    {
        let path = format!("/v1/templates/{template}");
        made("PUT", &format!("{path}?publish=true"), texts(text)).await;
        made("PUT", &path, texts(&format!("{text} draft"))).await;
        let audience = json!({"groups": [group], "ids": [bo], "from_event": ["data.customer"]});
        let route =
            json!({"audience": audience, "template": template, "channels": ["whatsapp", "email", "in_app"]});
        made("PUT", &format!("/v1/routes/{event_type}"), route).await;
    }
    let pack =
        json!({"name": "shared-pack", "title": text, "groups": [{"name": "Desk", "description": text}]});
    made("PUT", "/v1/packs/shared-pack", pack).await;
    let schedule = format!("{tag}-schedule");
    let hourly = json!({"sweep": "sweep-reminders", "classes": [tag], "cadence": "1h"});
    made("PUT", &format!("/v1/system/schedules/{schedule}"), hourly).await;
    for template in ["loan_reminder", "loan_overdue", "loan_created", "loan_returned"] {
        made("PUT", &format!("/v1/templates/{template}?publish=true"), texts(text)).await;
    }
    let (policy, deadline) = (format!("{tag}-policy"), format!("{tag}-deadline"));
    for name in [policy.as_str(), "loan"] {
        let reminder =
            json!({"kind": text, "offset": "-2h", "template": "loan_reminder", "channels": ["email"]});
        made("PUT", &format!("/v1/reminder-policies/{name}"), json!({"reminders": [reminder]})).await;
    }
    let due = json!({
        "policy": policy, "recipients": {"ids": [ada], "groups": [group]}, "due_at": "2027-06-01T12:00:00Z",
        "data": {"note": text}
    });
    made("PUT", &format!("/v1/deadlines/{deadline}"), due).await;
    let gone = json!({"channel": "email", "address": format!("{text}-gone@example.com"), "reason": text});
    let suppression = made("POST", "/v1/suppressions", gone).await;
    let key = json!({"name": text, "kind": "live", "scopes": ["read"]});
    let key = made("POST", "/v1/keys", key).await;
    let addresses = json!({"addresses": [{"name": text, "email": format!("{text}-once@example.com")}]});
    let event = json!({
        "type": event_type, "source": text, "id": "1", "subject": text, "data": {"number": text}, "recipients": addresses
    });
    let event = text_of(&made("POST", "/v1/events", event).await, "event_id");
    let deliveries = at_rest(dev, client, &event).await;
    let problem = json!({"title": text, "severity": "info"});
    let problem = made("POST", "/v1/system/problems", problem).await;
    BTreeMap::from([
        ("problem", vec![text_of(&problem, "id")]),
        ("recipient", vec![ada]),
        ("group", vec![group]),
        ("template", vec![template]),
        ("event_type", vec![event_type]),
        ("suppression", vec![text_of(&suppression, "id")]),
        ("key", vec![text_of(&key, "id")]),
        ("event", vec![event]),
        // One of each channel.
        ("delivery", deliveries.into_iter().take(3).collect()),
        ("channel", ["whatsapp", "email", "in_app"].map(str::to_owned).into()),
        ("pack", vec!["shared-pack".to_owned()]),
        ("schedule", vec![schedule]),
        ("policy", vec![policy]),
        ("deadline", vec![deadline]),
        // The same for everybody.
        ("sweep", ["sweep-due", "sweep-reminders"].map(str::to_owned).into()),
    ])
}

/// A message of A's that no worker could work.
async fn dead_letter(dev: &Dev, client: &Client) -> String {
    let poison = json!({"tenant": "amber", "words": SECRET}).to_string();
    dev.cloud.queues().send_dead(Queue::Email, poison).await.expect("the queue takes it");
    until("the record of it", async || {
        let letters = client.get("/v1/dead-letters").await.body;
        letters["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await
}

/// A job that has come to its end. Only long work becomes one: many people are normalised.
async fn job(client: &Client) -> String {
    let lines: Vec<String> =
        (0..=1_000).map(|i| json!({"id": format!("many-{i}"), "name": SECRET}).to_string()).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let imported =
        client.raw("POST", "/v1/recipients/import", &headers, Some(lines.join("\n").into_bytes())).await;
    assert_eq!(imported.body["failed"], 0, "{imported:?}");
    let id = text_of(&client.post("/v1/recipients/normalise", &json!({})).await.body, "job_id");
    until("the job to be done", async || {
        (client.get(&format!("/v1/jobs/{id}")).await.body["state"] == "done").then_some(())
    })
    .await;
    id
}

fn text_of(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} of {answer}")).to_owned()
}

fn texts(text: &str) -> Value {
    let says = format!("{text} {{{{ data.number | default('') }}}}");
    json!({"locales": {"en": {
        "whatsapp": {"template": {"name": "order", "language": "en", "parameters": [text]}},
        "email": {"subject": text, "html": format!("<p>{says}</p>")},
        "in_app": {"title": text, "body": says}
    }}})
}

/// The ids of an event's deliveries, once nothing more happens to them.
async fn at_rest(dev: &Dev, client: &Client, event: &str) -> Vec<String> {
    let path = format!("/v1/events/{event}/deliveries?limit=200");
    until("everything to be at rest", async || {
        dev.advance(1).await;
        let found = client.get(&path).await.body["items"].as_array().cloned().unwrap_or_default();
        let rests = |d: &Value| ["delivered", "skipped"].contains(&d["state"].as_str().unwrap_or_default());
        (found.len() >= 9 && found.iter().all(rests))
            .then(|| found.iter().map(|d| text_of(d, "id")).collect())
    })
    .await
}
