//! The fields that a posted body may have: the document's against those that the domain's types read.

use std::collections::BTreeSet;
use std::fmt;

use carillon_domain::deadline::DeadlineInput;
use carillon_domain::event::OneOffAddress;
use carillon_domain::reminder::{Notice, Reminder, ReminderPolicy};
use carillon_domain::template::{ApprovedTemplate, EmailPart, InAppPart, WhatsappPart};
use carillon_domain::{
    Audience, DigestRule, EventInput, LocaleParts, Preferences, QuietHours, Recipient, Route, SendWindow,
    Targets, Template, Throttle,
};
use carillon_pipeline::apply_pack::{PackGroup, PackInput};
use carillon_pipeline::configure_tenant::TenantInput;
use carillon_pipeline::issue_key::KeyInput;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::document;

/// A deserializer that has no value and only tells which fields a struct asks for.
struct Asking;

/// The answer of [`Asking`].
#[derive(Debug)]
struct Asked(&'static [&'static str]);

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Asked {}

impl Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for Asking {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Asked> {
        Err(Asked(fields))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<'de, T: Deserialize<'de>>() -> BTreeSet<&'static str> {
    T::deserialize(Asking).err().unwrap().0.iter().copied().collect()
}

/// The properties of a schema that a caller may send.
fn writable<'a>(document: &'a Value, schema: &str) -> BTreeSet<&'a str> {
    let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
    properties.iter().filter(|(_, p)| p["readOnly"] != true).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_schema_has_the_fields_that_its_type_reads() {
    let document = document();
    for (schema, fields) in [
        ("CloudEvent", fields_of::<EventInput>()),
        ("Targets", fields_of::<Targets>()),
        ("OneOffAddress", fields_of::<OneOffAddress>()),
        ("Recipient", fields_of::<Recipient>()),
        ("Preferences", fields_of::<Preferences>()),
        ("QuietHours", fields_of::<QuietHours>()),
        ("Route", fields_of::<Route>()),
        ("SendWindow", fields_of::<SendWindow>()),
        ("Throttle", fields_of::<Throttle>()),
        ("Digest", fields_of::<DigestRule>()),
        ("Audience", fields_of::<Audience>()),
        ("Template", fields_of::<Template>()),
        ("LocaleParts", fields_of::<LocaleParts>()),
        ("WhatsappPart", fields_of::<WhatsappPart>()),
        ("ApprovedTemplate", fields_of::<ApprovedTemplate>()),
        ("EmailPart", fields_of::<EmailPart>()),
        ("InAppPart", fields_of::<InAppPart>()),
        ("KeyRequest", fields_of::<KeyInput>()),
        ("Tenant", fields_of::<TenantInput>()),
        ("ReminderPolicy", fields_of::<ReminderPolicy>()),
        ("Reminder", fields_of::<Reminder>()),
        ("Notice", fields_of::<Notice>()),
        ("Deadline", fields_of::<DeadlineInput>()),
        ("Pack", fields_of::<PackInput>()),
        ("PackGroup", fields_of::<PackGroup>()),
    ] {
        assert_eq!(writable(&document, schema), fields, "{schema}");
    }
}

#[test]
fn a_plain_event_has_every_field_of_a_cloud_event_but_those_of_its_envelope() {
    let document = document();
    let mut cloud = writable(&document, "CloudEvent");
    for envelope in ["specversion", "datacontenttype", "dataschema"] {
        assert!(cloud.remove(envelope));
    }
    assert_eq!(writable(&document, "PlainEvent"), cloud);
}

#[test]
fn what_may_be_sent_takes_no_field_that_it_does_not_name() {
    let document = document();
    for operation in super::operations(&document) {
        let Some(body) = operation.value.get("requestBody") else { continue };
        let media = &super::resolved(&document, body)["content"]["application/json"];
        // Providers may say more than we know.
        if operation.path.starts_with("/webhooks/") {
            continue;
        }
        refuses_unknown_fields(&document, &media["schema"], operation.path);
    }
}

/// Follows a schema down to its objects. CloudEvents lets a producer add attributes; `data` and maps have free names.
fn refuses_unknown_fields(document: &Value, schema: &Value, at: &str) {
    let schema = super::resolved(document, schema);
    if let Some(properties) = schema["properties"].as_object() {
        let cloud_event = properties.contains_key("specversion");
        assert!(cloud_event || schema["additionalProperties"] == false, "{at}");
        for (name, property) in properties {
            refuses_unknown_fields(document, property, &format!("{at} {name}"));
        }
    }
    for inner in
        [&schema["items"], &schema["additionalProperties"]].into_iter().filter(|inner| inner.is_object())
    {
        refuses_unknown_fields(document, inner, at);
    }
    for inner in schema["oneOf"].as_array().into_iter().flatten() {
        refuses_unknown_fields(document, inner, at);
    }
}
