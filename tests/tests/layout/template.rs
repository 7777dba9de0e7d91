//! Reads template.yaml as far as the layout needs it: the resources by name, each with its type and its lines. The file
//! is indented by two and its resources are blocks, which infra/check_template.py parses in full.

use std::collections::BTreeSet;

use crate::project::read;

/// A resource of the template.
pub struct Resource {
    /// Its logical id.
    pub id: String,
    /// Its type, such as `AWS::SQS::Queue`.
    pub kind: String,
    lines: Vec<String>,
}

impl Resource {
    /// The environment variables of ours that it sets.
    pub fn variables(&self) -> BTreeSet<String> {
        variables(self.lines.iter().map(String::as_str))
    }

    /// The value of the first line with this key, as it is written.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':').map(str::trim))
    }
}

fn variables<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let named = lines.filter_map(|line| line.trim().split_once(':').map(|(name, _)| name.to_owned()));
    named.filter(|name| name.starts_with("CARILLON_")).collect()
}

/// The environment variables of ours that every function is given.
pub fn variables_of_all() -> BTreeSet<String> {
    variables(read("template.yaml").lines().take_while(|line| *line != "Resources:"))
}

/// The resources in the order of the file.
pub fn resources() -> Vec<Resource> {
    let text = read("template.yaml");
    let mut lines = text.lines().skip_while(|line| *line != "Resources:").skip(1).peekable();
    let mut resources: Vec<Resource> = Vec::new();
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with(' ')) {
        let id = line.strip_prefix("  ").and_then(|rest| rest.strip_suffix(':'));
        if let Some(id) = id.filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric())) {
            resources.push(Resource { id: id.to_owned(), kind: String::new(), lines: Vec::new() });
        } else if let Some(resource) = resources.last_mut() {
            resource.lines.push(line.to_owned());
        }
    }
    for resource in &mut resources {
        resource.kind = resource.value("Type").unwrap_or_default().to_owned();
    }
    resources
}

/// The resources of one type.
pub fn of_kind(kind: &str) -> Vec<Resource> {
    let found: Vec<Resource> = resources().into_iter().filter(|resource| resource.kind == kind).collect();
    assert!(!found.is_empty(), "template.yaml has no {kind}");
    found
}
