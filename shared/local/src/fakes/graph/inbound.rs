//! `POST /dev/inbound`: a person writes to the number. The fake remembers when, because Meta takes free text for 24 hours
//! after it, and posts the signed webhook that Meta would. People and tests call it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use carillon_domain::{FieldError, Problem, ProblemKind, Timestamp, phone, window};
use data_encoding::BASE64;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::Person;
use super::{FakeGraph, webhook};
use crate::answer;
use crate::fakes::random_bytes;
use crate::journal::{JournalError, chain};

const PATH: &str = "/dev/inbound";

/// Who writes, and what.
#[derive(Deserialize)]
struct Written {
    /// A phone number, or a business-scoped user id.
    from: String,
    text: String,
    /// The payload of the button that they pressed, whose words are the text.
    payload: Option<String>,
    /// To which number; the first tenant's when absent.
    phone_number_id: Option<String>,
}

#[derive(Clone)]
struct Numbers {
    fake: Arc<FakeGraph>,
    first: String,
}

/// The endpoint, for people who write to the first tenant's number unless they name another.
pub(crate) fn routes(fake: Arc<FakeGraph>, first_number: String) -> Router {
    Router::new().route(PATH, post(write)).with_state(Numbers { fake, first: first_number })
}

async fn write(State(numbers): State<Numbers>, body: Bytes) -> Response {
    match written(&numbers, &body).await {
        Ok(answered) => answer::json(StatusCode::ACCEPTED, &answered),
        Err(problem) => answer::problem(&problem, PATH),
    }
}

async fn written(numbers: &Numbers, body: &[u8]) -> Result<Value, Problem> {
    let Written { from, text, payload, phone_number_id } = answer::parse(body)?;
    let person = person(&from)?;
    let number = phone_number_id.unwrap_or_else(|| numbers.first.clone());
    let fake = &numbers.fake;
    let at = fake.receipts.now();
    fake.remember(&number, person_key(&person), at).await.map_err(|error| {
        tracing::error!(error = %chain(&error), "the fake Graph API could not record an inbound message");
        Problem::new(ProblemKind::Internal, "It could not be recorded; the log says why.")
    })?;
    let id = format!("wamid.{}", BASE64.encode(&random_bytes::<27>(&*fake.entropy)));
    let mut message = json!({"id": id, "timestamp": at.as_second().to_string()});
    if let Some(payload) = payload {
        message["type"] = json!("button");
        message["button"] = json!({"text": text, "payload": payload});
    } else {
        message["type"] = json!("text");
        message["text"] = json!({"body": text});
    }
    let mut contact = json!({"profile": {"name": "Somebody"}});
    match &person {
        Person::Phone { wa_id, .. } => {
            message["from"] = json!(wa_id);
            contact["wa_id"] = json!(wa_id);
        }
        Person::Bsuid(bsuid) => {
            message["from_user_id"] = json!(bsuid);
            contact["user_id"] = json!(bsuid);
        }
    }
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": webhook::metadata(&fake.settings, &number),
        "contacts": [contact],
        "messages": [message],
    });
    let change = json!({"field": "messages", "value": value});
    let envelope = webhook::envelope_of(&fake.settings, &[change], at);
    webhook::send(&fake.http, &fake.settings, &envelope)
        .await
        .map_err(|error| Problem::new(ProblemKind::Unavailable, error))?;
    Ok(json!({"id": id}))
}

fn person(from: &str) -> Result<Person, Problem> {
    if from.split_once('.').is_some_and(|(country, id)| country.len() == 2 && !id.is_empty()) {
        return Ok(Person::Bsuid(from.to_owned()));
    }
    let e164 = phone::to_e164(from, None)
        .map_err(|error| Problem::from(FieldError::new("/from", error.to_string())))?;
    let wa_id = e164.trim_start_matches('+').to_owned();
    Ok(Person::Phone { input: e164, wa_id })
}

/// What a person is remembered by.
fn person_key(person: &Person) -> String {
    match person {
        Person::Phone { wa_id, .. } => wa_id.clone(),
        Person::Bsuid(bsuid) => bsuid.clone(),
    }
}

impl FakeGraph {
    /// Whether this person wrote to this number less than 24 hours ago.
    pub(super) async fn may_say_anything(
        &self,
        phone_number_id: &str,
        person: &Person,
    ) -> Result<bool, JournalError> {
        let (number, key) = (phone_number_id.to_owned(), person_key(person));
        let work = move |connection: &mut Connection| {
            let sql = "SELECT written_at FROM inbound WHERE phone_number_id = ?1 AND person = ?2";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row(params![number, key], |row| row.get::<_, i64>(0)).optional()
        };
        let written_at = self.receipts.journal().run(work).await?;
        let until = written_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(window::until);
        Ok(window::is_open(until, self.receipts.now()))
    }

    pub(in crate::fakes) async fn remember(
        &self,
        number: &str,
        person: String,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let (number, at) = (number.to_owned(), at.as_millisecond());
        let work = move |connection: &mut Connection| {
            let sql = "INSERT INTO inbound (phone_number_id, person, written_at) VALUES (?1, ?2, ?3)
                       ON CONFLICT (phone_number_id, person) DO UPDATE SET written_at = max(written_at, ?3)";
            connection.prepare_cached(sql)?.execute(params![number, person, at]).map(drop)
        };
        self.receipts.journal().run(work).await
    }
}
