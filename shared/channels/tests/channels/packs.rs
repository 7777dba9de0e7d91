//! Every pack of the repository, rendered with its own samples: each text parses, and what a sample expects to be
//! delivered is in the message, inside and outside WhatsApp's window.

use std::fs;
use std::path::{Path, PathBuf};

use carillon_channels::MinijinjaRenderer;
use carillon_domain::{Channel, Rendered, TemplateVersion};
use carillon_pipeline::ports::{RenderJob, Renderer};
use serde_json::{Value, json};

fn packs() -> Vec<PathBuf> {
    entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Value {
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A folder of `<locale>.toml` files, with the HTML of a locale in `<locale>.html` beside it.
fn template(folder: &Path) -> TemplateVersion {
    let mut locales = serde_json::Map::new();
    for path in entries(folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == "toml")) {
        let mut parts = read(&path);
        if let Ok(html) = fs::read_to_string(path.with_extension("html")) {
            parts["email"]["html"] = json!(html);
        }
        locales.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), parts);
    }
    let name = folder.file_name().unwrap().to_str().unwrap();
    serde_json::from_value(json!({"name": name, "version": 1, "template": {"locales": locales}})).unwrap()
}

fn rendered(template: &TemplateVersion, channel: Channel, window_open: bool, context: &Value) -> Rendered {
    let locale = template.template.locales.keys().next().unwrap();
    let job = RenderJob { tenant: "acme", template, locale, channel, window_open, context };
    MinijinjaRenderer::new().render(&job).unwrap_or_else(|e| panic!("{}: {e}", template.name))
}

/// Every text of a message that its reader sees.
fn texts(message: &Rendered) -> Vec<String> {
    match serde_json::to_value(message).unwrap() {
        Value::Object(fields) if fields["kind"] == "email" => {
            ["html", "text"].map(|part| fields[part].as_str().unwrap().to_owned()).to_vec()
        }
        fields => vec![fields.to_string()],
    }
}

#[test]
fn every_template_of_every_pack_parses() {
    let mut seen = 0;
    for pack in packs() {
        for folder in entries(&pack.join("templates")) {
            let template = template(&folder).template;
            assert_eq!(MinijinjaRenderer::new().faults(&template), [], "{}", folder.display());
            assert_eq!(template.faults(), [], "{}", folder.display());
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn every_sample_renders_what_it_expects() {
    let mut seen = 0;
    for pack in packs() {
        let routes = read(&pack.join("routes.toml"));
        let people = read(&pack.join("samples/recipients.toml"));
        for path in entries(&pack.join("samples")).iter().filter(|p| !p.ends_with("recipients.toml")) {
            let sample = read(path);
            let event = &sample["event"];
            let route = &routes[event["type"].as_str().unwrap()];
            let template = template(&pack.join("templates").join(route["template"].as_str().unwrap()));
            for expected in sample["expect"].as_array().unwrap().iter().filter(|e| e["state"] == "delivered")
            {
                let people = people["recipients"].as_array().unwrap();
                let recipient = people.iter().find(|p| p["id"] == expected["recipient"]).unwrap();
                let context = json!({
                    "event": event, "data": event["data"], "recipient": recipient,
                    "tenant": {"name": "Acme"}, "now": "2026-11-20T10:00:00Z",
                });
                let channel: Channel = expected["channel"].as_str().unwrap().parse().unwrap();
                for window_open in [false, true] {
                    for text in texts(&rendered(&template, channel, window_open, &context)) {
                        for words in expected["contains"].as_array().unwrap() {
                            assert_contains(&text, words.as_str().unwrap(), channel, window_open, path);
                        }
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 0);
}

fn assert_contains(text: &str, words: &str, channel: Channel, window_open: bool, path: &Path) {
    // What a template is asked to say in one line, a free text may say in two.
    let one_line = |text: &str| text.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    // In HTML the words stand escaped.
    let read = text.replace("&amp;", "&").replace("&#x27;", "'").replace("&lt;", "<").replace("&gt;", ">");
    let found = [text, &read].iter().any(|text| one_line(text).contains(&one_line(words)));
    assert!(found, "{}: {channel} (window open: {window_open}) lacks {words:?}:\n{text}", path.display());
}
