//! From the WhatsApp part of a template to free text or an approved template with its parameters, within the limits
//! that Meta would otherwise refuse. The Cloud API comes next.

use carillon_domain::Rendered;
use carillon_domain::problem::pointer_part;
use carillon_domain::rendered::RenderedParameters;
use carillon_domain::template::{ApprovedTemplate, Parameters, WhatsappPart};
use carillon_pipeline::ports::RenderError;

use crate::render::Fill;

const TEXT: &str = "/whatsapp/text";

/// Meta's limit of a text body (Cloud API, send messages, September 2026).
const MAX_TEXT_CHARS: usize = 4_096;
/// Meta refuses a template parameter with more spaces in a row than this, and with line breaks or tabs (general
/// knowledge; Meta's pages do not state it).
const MAX_SPACES: usize = 4;

/// The texts of the part with their pointers.
pub(crate) fn texts(part: &WhatsappPart) -> Vec<(String, &str)> {
    let mut texts: Vec<(String, &str)> = part.text.iter().map(|t| (TEXT.to_owned(), t.as_str())).collect();
    let parameters = part.template.iter().flat_map(|t| t.parameters.texts());
    texts.extend(parameters.map(|(name, text)| (parameter_pointer(&name), text)));
    texts
}

fn parameter_pointer(name: &str) -> String {
    format!("/whatsapp/template/parameters/{}", pointer_part(name))
}

/// The message: free text where the window allows it and there is one, else the approved template.
pub(crate) fn render(
    part: &WhatsappPart,
    window_open: bool,
    fill: Fill<'_>,
) -> Result<Rendered, RenderError> {
    match (&part.text, &part.template) {
        (Some(_), _) if window_open => free_text(fill),
        (_, Some(template)) => approved(template, fill),
        (_, None) => Err(RenderError {
            part: "/whatsapp".to_owned(),
            detail: if window_open {
                "there is neither a text nor an approved template".to_owned()
            } else {
                "the 24-hour window is closed and there is no approved template".to_owned()
            },
        }),
    }
}

fn free_text(fill: Fill<'_>) -> Result<Rendered, RenderError> {
    let body = fill(TEXT)?;
    let fault = |detail: String| Err(RenderError { part: TEXT.to_owned(), detail });
    if body.trim().is_empty() {
        return fault("is empty".to_owned());
    }
    if body.chars().count() > MAX_TEXT_CHARS {
        return fault(format!("has more than {MAX_TEXT_CHARS} characters"));
    }
    Ok(Rendered::WhatsappText { body })
}

fn approved(template: &ApprovedTemplate, fill: Fill<'_>) -> Result<Rendered, RenderError> {
    let parameter = |name: &str| {
        let part = parameter_pointer(name);
        let text = fill(&part)?;
        match parameter_fault(&text) {
            Some(detail) => Err(RenderError { part, detail: detail.to_owned() }),
            None => Ok(text),
        }
    };
    let parameters = match &template.parameters {
        Parameters::Positional(list) => RenderedParameters::Positional(
            (0..list.len()).map(|i| parameter(&i.to_string())).collect::<Result<_, _>>()?,
        ),
        Parameters::Named(map) => {
            let named = map.keys().map(|name| Ok((name.clone(), parameter(name)?)));
            RenderedParameters::Named(named.collect::<Result<_, RenderError>>()?)
        }
    };
    let (name, language) = (template.name.clone(), template.language.clone());
    let acknowledge_button = template.acknowledge_button;
    Ok(Rendered::WhatsappTemplate { name, language, parameters, acknowledge_button })
}

/// What Meta refuses in a parameter; found here, it fails with a name instead of as error 131008 or 132012.
fn parameter_fault(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("is empty; WhatsApp refuses empty parameters")
    } else if text.contains(['\n', '\r', '\t']) {
        Some("has a line break or tab; WhatsApp refuses them in parameters")
    } else if text.contains(&" ".repeat(MAX_SPACES + 1)) {
        Some("has more than four spaces in a row; WhatsApp refuses them in parameters")
    } else {
        None
    }
}
