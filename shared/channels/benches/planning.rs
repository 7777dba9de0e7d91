//! How many recipients one core decides for in a second: an event with a usual template on all three channels,
//! planned as fan-out plans it, everything rendered. `cargo bench -p carillon-channels`; the aim is 50,000.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use carillon_channels::MinijinjaRenderer;
use carillon_domain::ids::HashKey;
use carillon_domain::{
    ChannelChoice, Event, Preferences, Recipient, RecipientId, RecipientKey, TemplateVersion, Tenant,
    Timestamp,
};
use carillon_pipeline::plan::{Planned, Reader, Terms, plan};
use divan::Bencher;
use divan::counter::ItemsCount;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

const CELL: &str =
    "padding:10px 0;border-top:1px solid #e5e7eb;color:#111827;font-weight:600;vertical-align:top;";

/// As the packs have it: styles in the elements.
fn inline_html() -> String {
    let row = |name: &str, value: &str| {
        format!("<tr><td style=\"{CELL}\">{name}</td><td style=\"{CELL}\">{{{{ {value} }}}}</td></tr>\n")
    };
    let rows = [("Order", "data.order_number"), ("Customer", "data.customer_name"), ("Total", "data.total")];
    let rows: String = rows.iter().map(|(name, value)| row(name, value)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>New order</title></head>\n\
         <body style=\"margin:0;padding:0;background:#f3f4f6;font-family:Helvetica,Arial,sans-serif;\">\n\
         <h1 style=\"margin:0 0 16px;font-size:22px;\">New order {{{{ data.order_number }}}}</h1>\n\
         <p style=\"margin:0 0 12px;\">Hello {{{{ recipient.name }}}}, a new order has come in.</p>\n\
         <table role=\"presentation\" width=\"100%\">\n{rows}{{% for item in data.items %}}\
         <tr><td style=\"{CELL}\">{{{{ item.name }}}}</td><td style=\"{CELL}\">{{{{ item.count }}}}</td></tr>\n\
         {{% endfor %}}</table>\n<p style=\"margin:20px 0;\">Please confirm it with the customer.</p>\n\
         </body></html>\n"
    )
}

/// The same with a `<style>` block, which is worked into the template once.
fn block_html() -> String {
    inline_html()
        .replace(&format!(" style=\"{CELL}\""), "")
        .replace("<title>", &format!("<style>td {{ {CELL} }}</style><title>"))
}

/// The same with a class from the data, so that the block is inlined at each rendering.
fn late_html() -> String {
    block_html().replace("<table role", "<table class=\"{{ data.customer_name }}\" role")
}

fn template(html: &str) -> TemplateVersion {
    let text = "Hello {{ recipient.name }},\n\norder {{ data.order_number }} from {{ data.customer_name }}: \
                {{ data.total }}.\n{% for item in data.items %}- {{ item.name }} ({{ item.count }})\n{% endfor %}";
    let parts = json!({
        "whatsapp": {"template": {"name": "order_created", "language": "en", "parameters": [
            "{{ data.order_number }}", "{{ data.customer_name }}", "{{ data.total }}"]}},
        "email": {"subject": "New order {{ data.order_number }}", "html": html, "text": text},
        "in_app": {"title": "New order {{ data.order_number }}",
            "body": "{{ data.customer_name }} ordered for {{ data.total }}."},
    });
    read(json!({"name": "order_created", "version": 1, "template": {"locales": {"en": parts}}}))
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn event(now: Timestamp) -> Event {
    let input = json!({"type": "order.created", "source": "shop", "id": "1", "data": {
        "order_number": "SO-1001", "customer_name": "Example Ltd", "total": "$1,234.50",
        "items": [{"name": "Panel", "count": 4}, {"name": "Inverter", "count": 1}, {"name": "Cable", "count": 20}],
    }});
    read(json!({
        "id": carillon_domain::EventId::from_random([7; 16]), "accepted_at": now.as_millisecond(), "body_sha256": "",
        "input": input.to_string(),
    }))
}

/// Plans for one recipient after the other, each with a name of their own.
fn measure(bencher: Bencher<'_, '_>, html: &str, channels: &[&str]) {
    let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    let tenant: Tenant =
        read(json!({"id": "acme", "name": "Acme", "locale": "en", "time_zone": "UTC", "region": "US"}));
    let (event, template, channels) = (event(now), template(html), read::<ChannelChoice>(json!(channels)));
    let (defaults, preferences) = (Preferences::default(), Preferences::default());
    let terms = Terms::new(&tenant, &event, None, &template, &channels, &defaults);
    let secret = HashKey::from_bytes(b"benchmark");
    let people: Vec<(RecipientId, RecipientKey, Recipient)> =
        (0..100).map(|n| person(&secret, &tenant, n)).collect();
    let renderer = MinijinjaRenderer::new();
    let mut next = people.iter().cycle();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| -> Vec<Planned> {
        let (id, key, person) = next.next().unwrap();
        let reader = Reader {
            id,
            key,
            person,
            preferences: &preferences,
            suppressed: &[],
            told_before: false,
            window_open: false,
            acknowledge_url: "",
        };
        let planned = plan(&terms, &renderer, &reader, now);
        assert!(planned.iter().all(|p| p.send.is_some()), "{planned:?}");
        planned
    });
}

fn person(secret: &HashKey, tenant: &Tenant, n: u32) -> (RecipientId, RecipientKey, Recipient) {
    let id: RecipientId = format!("person-{n}").parse().unwrap();
    let key = RecipientKey::of(secret, &tenant.id, &id);
    let recipient = read(json!({
        "name": format!("Person {n}"), "email": format!("person-{n}@example.com"), "phone": "+12025550111",
        "locale": "en-GB",
    }));
    (id, key, recipient)
}

#[divan::bench(sample_count = 200, sample_size = 50)]
fn three_channels(bencher: Bencher<'_, '_>) {
    measure(bencher, &inline_html(), &["whatsapp", "email", "in_app"]);
}

#[divan::bench(sample_count = 200, sample_size = 50)]
fn whatsapp_alone(bencher: Bencher<'_, '_>) {
    measure(bencher, &inline_html(), &["whatsapp"]);
}

#[divan::bench(sample_count = 200, sample_size = 50)]
fn three_channels_with_a_style_block(bencher: Bencher<'_, '_>) {
    measure(bencher, &block_html(), &["whatsapp", "email", "in_app"]);
}

#[divan::bench(sample_count = 200, sample_size = 50)]
fn three_channels_with_a_style_block_that_hangs_on_data(bencher: Bencher<'_, '_>) {
    measure(bencher, &late_html(), &["whatsapp", "email", "in_app"]);
}
