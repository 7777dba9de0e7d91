//! The line by which a person recognises a message, whatever its channel.

use carillon_domain::Rendered;
use carillon_domain::rendered::RenderedParameters;

/// The subject, the title, the first line, or the approved template with what fills it.
#[must_use]
pub fn headline(message: &Rendered) -> String {
    match message {
        Rendered::WhatsappText { body } => body.lines().next().unwrap_or_default().to_owned(),
        Rendered::WhatsappTemplate { name, parameters, .. } => {
            let values: Vec<&str> = match parameters {
                RenderedParameters::Positional(list) => list.iter().map(String::as_str).collect(),
                RenderedParameters::Named(map) => map.values().map(String::as_str).collect(),
            };
            of_approved(name, &values)
        }
        Rendered::Email { subject, .. } => subject.clone(),
        Rendered::InApp { title, .. } => title.clone(),
    }
}

/// Of an approved template only Meta knows the words: its name and what fills it.
#[must_use]
pub fn of_approved(name: &str, values: &[&str]) -> String {
    format!("[{name}] {}", values.join(" | "))
}
