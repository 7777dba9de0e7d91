//! What Meta accepts as a template message: its name, language and components; error 132012 for parameters of which only
//! some are named. [`super::request`] reads the rest of the message. Facts: Meta, WhatsApp Cloud API, "Send messages", "Webhooks" and "Error codes" (November 2026).

use serde_json::{Map, Value, json};

use super::request::{GraphError, list_of, object_of, text_of};
use crate::outbox::SentTemplate;

const MAX_TEMPLATE_NAME: usize = 512;

/// More spaces in a row than this make a template parameter invalid.
const MAX_SPACES: usize = 4;

/// Reads the `template` object.
pub(super) fn template(template: &Map<String, Value>) -> Result<SentTemplate, GraphError> {
    let name = text_of(template, "name")?.ok_or_else(|| GraphError::missing("template['name']"))?;
    let named = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !named || !(1..=MAX_TEMPLATE_NAME).contains(&name.len()) {
        return Err(GraphError::bad_value(
            "Param template['name'] must be lower-case letters, digits and underscores.",
        ));
    }
    let language = object_of(template, "language")?;
    let code =
        text_of(language, "code")?.ok_or_else(|| GraphError::missing("template['language']['code']"))?;
    if code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(GraphError::bad_value("Param template['language']['code'] is not a language code."));
    }
    let (mut parameters, mut buttons) = (json!([]), Vec::new());
    for component in list_of(template, "components")? {
        let component =
            component.as_object().ok_or_else(|| GraphError::bad_value("A component is not an object."))?;
        match text_of(component, "type")? {
            Some("body") => parameters = texts(list_of(component, "parameters")?)?,
            Some("header") => {
                texts(list_of(component, "parameters")?)?;
            }
            Some("button") if component.contains_key("sub_type") && component.contains_key("index") => {
                buttons.extend(payloads(list_of(component, "parameters")?));
            }
            Some("button") => {
                return Err(GraphError::missing("template['components'][]['sub_type' and 'index']"));
            }
            Some(other) => {
                return Err(GraphError::bad_value(format!("A component has the unknown type {other:?}.")));
            }
            None => return Err(GraphError::missing("template['components'][]['type']")),
        }
    }
    Ok(SentTemplate { name: name.to_owned(), language: code.to_owned(), parameters, buttons })
}

/// What comes back when a button is pressed.
fn payloads(parameters: &[Value]) -> impl Iterator<Item = String> {
    parameters.iter().filter_map(|parameter| parameter["payload"].as_str().map(str::to_owned))
}

/// Parameters as a reader sees them: a list, or an object when they have names; never a mixture.
fn texts(parameters: &[Value]) -> Result<Value, GraphError> {
    let mut list = Vec::new();
    let mut named = Map::new();
    for parameter in parameters {
        let parameter =
            parameter.as_object().ok_or_else(|| GraphError::bad_value("A parameter is not an object."))?;
        let text = Value::String(readable(parameter)?);
        match text_of(parameter, "parameter_name")? {
            Some(name) => {
                named.insert(name.to_owned(), text);
            }
            None => list.push(text),
        }
    }
    match (named.is_empty(), list.is_empty()) {
        (true, _) => Ok(Value::Array(list)),
        (false, true) => Ok(Value::Object(named)),
        (false, false) => Err(GraphError::new(
            132_012,
            "Parameter format does not match",
            "Some parameters have names and some do not.",
        )),
    }
}

fn readable(parameter: &Map<String, Value>) -> Result<String, GraphError> {
    let kind = text_of(parameter, "type")?.ok_or_else(|| GraphError::missing("parameters[]['type']"))?;
    match kind {
        "text" => {
            let text = text_of(parameter, "text")?.filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| GraphError::missing("parameters[]['text']"))?;
            if text.contains(['\n', '\r', '\t']) || text.contains(&" ".repeat(MAX_SPACES + 1)) {
                let details =
                    "Param text cannot have new-line/tab characters or more than 4 consecutive spaces.";
                return Err(GraphError::bad_value(details));
            }
            Ok(text.to_owned())
        }
        "currency" | "date_time" => {
            let shown = text_of(object_of(parameter, kind)?, "fallback_value")?;
            shown.map(str::to_owned).ok_or_else(|| GraphError::missing("parameters[]['fallback_value']"))
        }
        "image" | "document" | "video" | "location" => {
            object_of(parameter, kind).map(|_| format!("[{kind}]"))
        }
        other => Err(GraphError::bad_value(format!("A parameter has the unknown type {other:?}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_parameters_are_kept_by_name_and_positional_ones_in_order() {
        let text = |text: &str| json!({"type": "text", "text": text});
        assert_eq!(texts(&[text("b"), text("a")]).unwrap(), json!(["b", "a"]));
        let named = json!({"type": "text", "text": "Ada", "parameter_name": "first_name"});
        assert_eq!(texts(&[named]).unwrap(), json!({"first_name": "Ada"}));
    }
}
