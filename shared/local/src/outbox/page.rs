//! The outbox as a page: each message as its reader would see it. [`super::pages`] serves it.

use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde::Serialize;

use super::OutboxItem;

/// The page's style sheet.
pub(super) const STYLE: &str = include_str!("page.css");

/// The name ends in `.html`, so that everything put into it is escaped.
const PAGE: (&str, &str) = ("page.html", include_str!("page.html"));

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    item: &'a OutboxItem,
    /// Template parameters by place or name.
    parameters: Vec<(String, &'a str)>,
    day: String,
    time: String,
}

/// The HTML of one page of messages, newest first.
pub(super) fn render(
    items: &[OutboxItem],
    is_older: bool,
    has_more: bool,
) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template(PAGE.0, PAGE.1)?;
    let older = items.last().filter(|_| has_more).map(|last| last.id);
    let items = Serde(items.iter().map(shown).collect::<Vec<_>>());
    environment.get_template(PAGE.0)?.render(context! { items, older, is_older })
}

fn shown(item: &OutboxItem) -> Shown<'_> {
    let parameters = item.template.as_ref().map(super::SentTemplate::named_parameters).unwrap_or_default();
    let at = &item.received_at;
    Shown {
        item,
        parameters,
        day: at.strftime("%Y-%m-%d").to_string(),
        time: at.strftime("%H:%M:%S").to_string(),
    }
}
