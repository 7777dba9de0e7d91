//! The pages behind signed links: small, without script, cookies or anything from elsewhere.

use carillon_domain::Category;

pub(crate) fn question(from: &str, category: Category) -> String {
    let (from, kind) = (escaped(from), kind(category));
    framed(
        "en",
        "Unsubscribe",
        &format!(
            "<p>Do you want no more {kind} by email from <strong>{from}</strong>?</p>\
             <form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
             <button>Unsubscribe</button></form>"
        ),
    )
}

pub(crate) fn done(from: &str, category: Category) -> String {
    let (from, kind) = (escaped(from), kind(category));
    framed(
        "en",
        "Unsubscribed",
        &format!("<p>You get no more {kind} by email from <strong>{from}</strong>.</p>"),
    )
}

pub(crate) fn unknown() -> String {
    framed("en", "Not found", "<p>This link is not complete, or it is not one of ours.</p>")
}

/// What a category is to its reader.
fn kind(category: Category) -> &'static str {
    match category {
        Category::Transactional => "messages about what you do",
        Category::Reminder => "reminders",
        Category::Marketing => "news and offers",
        Category::Critical => "urgent messages",
        Category::System => "messages about this service",
    }
}

pub(crate) fn framed(locale: &str, title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"{locale}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;\
         padding:0 1rem}}button{{font:inherit;padding:.5rem 1.5rem}}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    )
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_write_html() {
        assert!(question("A <b>&\"", Category::Marketing).contains("A &lt;b&gt;&amp;&quot;"));
    }
}
