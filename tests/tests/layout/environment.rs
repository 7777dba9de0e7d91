//! What a function asks of its environment and what template.yaml gives it are the same. A function that misses a variable
//! does not start, which no local run notices.

use std::collections::BTreeSet;

use crate::none_of;
use crate::project::{Source, folders, sources};
use crate::template::{of_kind, variables_of_all};

/// What a function reads.
#[derive(Default)]
struct Asked {
    required: BTreeSet<String>,
    optional: BTreeSet<String>,
}

impl Asked {
    /// Takes in a source: every name of ours in quotes is required, unless it is read as optional.
    fn read(&mut self, code: &str) {
        for name in names(code) {
            let optional = code.contains(&format!("optional(\"{name}\")"));
            if optional {
                self.optional.insert(name)
            } else {
                self.required.insert(name)
            };
        }
    }

    fn reads(&self, name: &str) -> bool {
        self.required.contains(name) || self.optional.contains(name)
    }
}

/// The variables of ours that stand in quotes.
fn names(code: &str) -> BTreeSet<String> {
    let quoted = code.split('"').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with("CARILLON_") && !text.contains(' ')).map(str::to_owned).collect()
}

/// The sources below a folder, one text each, without comments and tests.
fn code(folder: &str) -> Vec<(String, String)> {
    let joined = |source: Source| {
        let code = source.code().collect::<Vec<_>>().join("\n");
        (source.path, code)
    };
    sources(folder).into_iter().map(joined).collect()
}

/// What reads variables for a function outside its own config.rs, and what a function that uses it calls.
const READERS: &[(&str, &str)] = &[
    ("shared/aws/src/connect.rs", "Deployment::read("),
    ("shared/aws/src/schedules.rs", "ScheduleGroup::read("),
    ("shared/runtime/src/environment.rs", "environment::pace()"),
    ("shared/runtime/src/telemetry.rs", "telemetry::start()"),
];

/// What one function asks: in its own config.rs, and by what it calls of the readers.
fn asked(folder: &str) -> Asked {
    let mut asked = Asked::default();
    let own = code(&format!("functions/{folder}/src"));
    for (path, text) in &own {
        let named = names(text);
        assert!(
            named.is_empty() || path.ends_with("/config.rs"),
            "{path} reads {named:?}; config.rs does that"
        );
        asked.read(text);
    }
    for (path, text) in ["shared/aws/src", "shared/runtime/src"].into_iter().flat_map(code) {
        let reader = READERS.iter().find(|(known, _)| *known == path);
        assert!(
            reader.is_some() || names(&text).is_empty(),
            "{path} reads variables and is not among READERS"
        );
        if reader.is_some_and(|(_, called)| own.iter().any(|(_, own)| own.contains(called))) {
            asked.read(&text);
        }
    }
    asked
}

#[test]
fn a_function_is_given_the_variables_that_it_reads_and_no_others() {
    let of_all = variables_of_all();
    assert!(of_all.contains("CARILLON_TABLE"), "{of_all:?}");
    let deployed = of_kind("AWS::Serverless::Function");
    let (mut faults, mut read_by_any) = (Vec::new(), BTreeSet::new());
    for folder in folders("functions") {
        let code_uri = format!("target/lambda/{folder}/");
        // That each is there, names.rs says.
        let Some(function) = deployed.iter().find(|f| f.value("CodeUri") == Some(&code_uri)) else {
            continue;
        };
        let (asked, given) = (asked(&folder), function.variables());
        for name in asked.required.iter().filter(|name| !given.contains(*name) && !of_all.contains(*name)) {
            faults.push(format!("{folder} requires {name}, which template.yaml does not give it"));
        }
        for name in given.iter().filter(|name| !asked.reads(name)) {
            faults.push(format!("template.yaml gives {folder} {name}, which it does not read"));
        }
        read_by_any.extend(asked.required);
        read_by_any.extend(asked.optional);
    }
    let unread = of_all.difference(&read_by_any);
    faults.extend(unread.map(|name| format!("template.yaml gives every function {name}, which none reads")));
    none_of(&faults);
}

#[test]
fn a_variable_is_read_in_one_way() {
    let mut asked = Asked::default();
    asked.read("required(\"CARILLON_A\", \"CARILLON_A is what\"); optional(\"CARILLON_B\")");
    assert_eq!(asked.required.into_iter().collect::<Vec<_>>(), ["CARILLON_A"]);
    assert_eq!(asked.optional.into_iter().collect::<Vec<_>>(), ["CARILLON_B"]);
}
