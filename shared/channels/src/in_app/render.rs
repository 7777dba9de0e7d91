//! From the in-app part of a template to an item of the feed. The item is stored in the table and read on a phone,
//! hence the limits; fan-out stores it.

use carillon_domain::Rendered;
use carillon_domain::template::InAppPart;
use carillon_pipeline::ports::RenderError;

use crate::render::Fill;

const TITLE: &str = "/in_app/title";
const BODY: &str = "/in_app/body";
const ACTION_URL: &str = "/in_app/action_url";

/// A title is one line of a list.
const MAX_TITLE_CHARS: usize = 200;
/// A feed item is paid by its size, at every read of the feed.
const MAX_BODY_CHARS: usize = 10_000;
/// Longer addresses break in browsers and proxies.
const MAX_URL_CHARS: usize = 2_048;

/// The texts of the part with their pointers.
pub(crate) fn texts(part: &InAppPart) -> Vec<(String, &str)> {
    let mut texts = vec![(TITLE.to_owned(), part.title.as_str()), (BODY.to_owned(), part.body.as_str())];
    texts.extend(part.action_url.as_deref().map(|url| (ACTION_URL.to_owned(), url)));
    texts
}

/// The item.
pub(crate) fn render(part: &InAppPart, fill: Fill<'_>) -> Result<Rendered, RenderError> {
    let title = fill(TITLE)?;
    let body = fill(BODY)?;
    let fault = |part: &str, detail: String| Err(RenderError { part: part.to_owned(), detail });
    if title.trim().is_empty() {
        return fault(TITLE, "is empty".to_owned());
    }
    if title.chars().any(char::is_control) {
        return fault(TITLE, "must be one line, without control characters".to_owned());
    }
    if title.chars().count() > MAX_TITLE_CHARS {
        return fault(TITLE, format!("has more than {MAX_TITLE_CHARS} characters"));
    }
    if body.chars().count() > MAX_BODY_CHARS {
        return fault(BODY, format!("has more than {MAX_BODY_CHARS} characters"));
    }
    let action_url = match &part.action_url {
        None => None,
        Some(_) => Some(fill(ACTION_URL)?.trim().to_owned()).filter(|url| !url.is_empty()),
    };
    if action_url.as_deref().is_some_and(|url| !leads_somewhere_safe(url)) {
        let detail =
            format!("must be an http or https address or a path, of at most {MAX_URL_CHARS} characters");
        return fault(ACTION_URL, detail);
    }
    Ok(Rendered::InApp { title, body, action_url })
}

/// A click must not run a script (`javascript:`), and an address has no spaces.
fn leads_somewhere_safe(url: &str) -> bool {
    ["https://", "http://", "/"].iter().any(|start| url.starts_with(start))
        && url.chars().count() <= MAX_URL_CHARS
        && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(title: &str, body: &str, url: Option<&str>) -> Result<Rendered, String> {
        let part =
            InAppPart { title: String::new(), body: String::new(), action_url: url.map(|_| String::new()) };
        let fill = |part: &str| {
            Ok(match part {
                TITLE => title.to_owned(),
                BODY => body.to_owned(),
                _ => url.unwrap_or_default().to_owned(),
            })
        };
        render(&part, &fill).map_err(|e| e.part)
    }

    #[test]
    fn an_action_url_is_an_address_a_path_or_absent() {
        for url in ["https://example.com/a?b=c", "http://example.com", "/orders/1"] {
            let Ok(Rendered::InApp { action_url, .. }) = rendered("t", "b", Some(url)) else {
                panic!("{url}")
            };
            assert_eq!(action_url.as_deref(), Some(url));
        }
        let Ok(Rendered::InApp { action_url: None, .. }) = rendered("t", "b", Some(" ")) else { panic!() };
        for url in ["javascript:alert(1)", "example.com", "https://example.com/a b", "data:text/html,x"] {
            assert_eq!(rendered("t", "b", Some(url)), Err(ACTION_URL.to_owned()), "{url}");
        }
    }

    #[test]
    fn a_title_is_one_short_line_and_a_body_is_bounded() {
        let long = "x".repeat(201);
        for title in ["", " ", "two\nlines", long.as_str()] {
            assert_eq!(rendered(title, "b", None), Err(TITLE.to_owned()), "{title:?}");
        }
        assert!(rendered(&"é".repeat(200), "b\nb", None).is_ok());
        assert_eq!(rendered("t", &"x".repeat(10_001), None), Err(BODY.to_owned()));
    }
}
