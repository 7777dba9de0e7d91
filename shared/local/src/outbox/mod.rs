//! What the fake providers received, kept in the journal: [`crate::fakes`] write it, [`pages`] show it to people and
//! tests as their readers would have seen it.

mod page;
pub mod pages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_domain::{Channel, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::journal::{Journal, JournalError, instant};

/// A message that a provider accepted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutboxItem {
    /// Its place in the outbox, from 1; set when it is read.
    #[serde(skip)]
    pub id: i64,
    /// Which provider took it.
    pub channel: Channel,
    /// The address as the provider was given it.
    pub to: String,
    /// Of an email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text; for a template its parameters, a line each, because only Meta knows the words around them.
    pub text: String,
    /// The HTML part of an email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The approved template of a WhatsApp message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<SentTemplate>,
    /// The token of the provider call; none when the caller sent none.
    pub token: Option<String>,
    /// Further headers of an email.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// When the provider accepted it.
    pub received_at: Timestamp,
}

/// Which approved template was asked for, and what fills it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentTemplate {
    /// Its name at Meta.
    pub name: String,
    /// Meta's language code.
    pub language: String,
    /// The body's parameters: a list, or an object by name.
    pub parameters: Value,
    /// What its buttons give back when they are pressed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<String>,
}

impl SentTemplate {
    /// The parameters by their place (from 1) or name.
    #[must_use]
    pub fn named_parameters(&self) -> Vec<(String, &str)> {
        match &self.parameters {
            Value::Array(list) => {
                (1..).zip(list).map(|(place, value): (usize, _)| (place.to_string(), text(value))).collect()
            }
            Value::Object(named) => named.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            _ => Vec::new(),
        }
    }

    /// The parameters, a line each.
    #[must_use]
    pub fn readable(&self) -> String {
        self.named_parameters().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Everything that was received, oldest first.
///
/// # Errors
/// If the journal cannot be read.
pub async fn all(journal: &Arc<Journal>) -> Result<Vec<OutboxItem>, JournalError> {
    let work = |connection: &mut Connection| {
        let sql = "SELECT id, channel, recipient, subject, text, html, template, token, received_at, headers
                   FROM outbox ORDER BY id";
        connection.prepare_cached(sql)?.query_map([], read)?.collect()
    };
    journal.run(work).await
}

/// At most `limit` items that came before the one with this id, or the newest; newest first.
///
/// # Errors
/// If the journal cannot be read.
pub async fn before(
    journal: &Arc<Journal>,
    id: Option<i64>,
    limit: usize,
) -> Result<Vec<OutboxItem>, JournalError> {
    let work = move |connection: &mut Connection| {
        let sql = "SELECT id, channel, recipient, subject, text, html, template, token, received_at, headers
                   FROM outbox WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        connection.prepare_cached(sql)?.query_map(params![id.unwrap_or(i64::MAX), limit], read)?.collect()
    };
    journal.run(work).await
}

/// Writes an item as part of its provider's transaction.
pub(crate) fn record(transaction: &Transaction<'_>, item: &OutboxItem) -> rusqlite::Result<()> {
    let template = item.template.as_ref().map(serde_json::to_string).transpose();
    let template = template.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let headers = (!item.headers.is_empty()).then(|| serde_json::json!(item.headers).to_string());
    let sql =
        "INSERT INTO outbox (channel, recipient, subject, text, html, template, token, received_at, headers)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let received_at = item.received_at.as_millisecond();
    let OutboxItem { to, subject, text, html, token, .. } = item;
    let columns =
        params![item.channel.as_str(), to, subject, text, html, template, token, received_at, headers];
    transaction.prepare_cached(sql)?.execute(columns)?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<OutboxItem> {
    let channel: String = row.get(1)?;
    let template: Option<String> = row.get(6)?;
    let headers: Option<String> = row.get(9)?;
    let fault = |column| {
        move |error: serde_json::Error| {
            rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
        }
    };
    Ok(OutboxItem {
        id: row.get(0)?,
        channel: serde_json::from_value(Value::String(channel)).map_err(fault(1))?,
        to: row.get(2)?,
        subject: row.get(3)?,
        text: row.get(4)?,
        html: row.get(5)?,
        template: template.map(|json| serde_json::from_str(&json)).transpose().map_err(fault(6))?,
        token: row.get(7)?,
        headers: headers
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(fault(9))?
            .unwrap_or_default(),
        received_at: instant(row, 8)?,
    })
}
