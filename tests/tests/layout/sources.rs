//! The sources: how each begins, how large it may be, what it may be called, and the words that may not be in it.

use crate::none_of;
use crate::project::{CODE, Source, folders, root, sources};

/// The most lines that a file has outside its test module.
const LINES: usize = 400;

/// Files that may be longer, each with its own limit and a reason.
const LONGER: &[(&str, usize, &str)] = &[];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "manager"];

/// What the pure crates may not name: the clock, the environment, the network and the cloud are behind ports.
const IMPURE: &[&str] = &[
    "aws_sdk",
    "lambda_runtime",
    "lambda_http",
    "reqwest",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "env::var",
    "std::fs",
    "std::net",
];

fn everything() -> Vec<Source> {
    CODE.iter().flat_map(|folder| sources(folder)).collect()
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let silent = everything().into_iter().filter(|source| !source.text.starts_with("//!"));
    none_of(&silent.map(|source| format!("{} does not begin with //!", source.path)).collect::<Vec<_>>());
}

#[test]
fn functions_are_thin() {
    let mut faults = Vec::new();
    for source in sources("functions") {
        let limit = match source.path.rsplit_once("/src/") {
            Some((_, "main.rs")) => 50,
            Some((_, "lib.rs")) => 150,
            _ => continue,
        };
        let lines = source.text.lines().count();
        if lines > limit {
            faults.push(format!("{} has {lines} lines, more than {limit}", source.path));
        }
    }
    none_of(&faults);
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let mut faults = Vec::new();
    for source in everything() {
        let longer = LONGER.iter().find(|(path, ..)| *path == source.path);
        let limit = longer.map_or(LINES, |(_, limit, _)| *limit);
        let lines = source.outside_tests().lines().count();
        if lines > limit {
            faults.push(format!(
                "{} has {lines} lines outside its test module, more than {limit}",
                source.path
            ));
        }
        if longer.is_some() && lines <= LINES {
            faults.push(format!("{} needs no limit of its own any more", source.path));
        }
    }
    none_of(&faults);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let nameless = |source: &Source| {
        source.path.split('/').any(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))
    };
    none_of(&everything().iter().filter(|s| nameless(s)).map(|s| s.path.clone()).collect::<Vec<_>>());
}

#[test]
fn no_code_knows_a_pack() {
    let packs: Vec<String> = folders("templates")
        .into_iter()
        .filter(|folder| root().join("templates").join(folder).join("pack.toml").exists())
        .collect();
    assert!(!packs.is_empty(), "there are no packs in templates/");
    let mut faults = Vec::new();
    for source in ["cli", "functions", "shared"].into_iter().flat_map(sources) {
        for line in source.code() {
            let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| packs.iter().any(|pack| pack.replace('-', "_") == word)) {
                faults.push(format!("{} names a pack: {}", source.path, line.trim()));
            }
        }
    }
    none_of(&faults);
}

#[test]
fn domain_and_pipeline_touch_nothing_outside() {
    let mut faults = Vec::new();
    for source in ["shared/domain", "shared/pipeline"].into_iter().flat_map(sources) {
        for line in source.code() {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{} names {word}: {}", source.path, line.trim()));
            }
        }
    }
    none_of(&faults);
}
