//! One word per stage: folder = package = binary = logical id = what is deployed = heading or table row in the README.

use std::collections::BTreeSet;

use crate::none_of;
use crate::project::{folders, packages, read};
use crate::template::of_kind;

const FUNCTION: &str = "AWS::Serverless::Function";

/// `deliver-whatsapp` -> `DeliverWhatsapp`.
fn logical_id(folder: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    folder.split('-').map(word).collect()
}

#[test]
fn a_function_is_named_alike_in_folder_package_and_binary() {
    let packages = packages();
    let mut faults = Vec::new();
    for folder in folders("functions") {
        match packages.iter().find(|package| package.folder == format!("functions/{folder}")) {
            None => faults.push(format!("functions/{folder} is not a crate")),
            Some(package) if package.name != folder || package.binaries != [folder.as_str()] => {
                faults.push(format!(
                    "functions/{folder} is the package {} with {:?}",
                    package.name, package.binaries
                ));
            }
            Some(_) => {}
        }
    }
    none_of(&faults);
}

#[test]
fn the_template_deploys_each_function_under_its_name_and_no_other() {
    let deployed = of_kind(FUNCTION);
    let folders: BTreeSet<String> = folders("functions").into_iter().collect();
    let mut faults = Vec::new();
    for folder in &folders {
        let Some(function) = deployed.iter().find(|function| function.id == logical_id(folder)) else {
            faults.push(format!("functions/{folder} is not in template.yaml as {}", logical_id(folder)));
            continue;
        };
        let expected = [
            ("CodeUri", format!("target/lambda/{folder}/")),
            ("FunctionName", format!("!Sub ${{AWS::StackName}}-{folder}")),
        ];
        for (key, value) in expected {
            if function.value(key) != Some(value.as_str()) {
                faults.push(format!("{} has another {key} than {value}", function.id));
            }
        }
    }
    for folder in &folders {
        let alarm = format!("  {}ErrorsAlarm:", logical_id(folder));
        if !read("template.yaml").lines().any(|line| line == alarm) {
            faults.push(format!("template.yaml has no metric alarm {}", alarm.trim()));
        }
    }
    let named: BTreeSet<String> = folders.iter().map(|folder| logical_id(folder)).collect();
    let strangers = deployed.iter().filter(|function| !named.contains(&function.id));
    faults.extend(strangers.map(|function| format!("{} has no folder in functions/", function.id)));
    none_of(&faults);
}

#[test]
fn the_readme_names_each_function() {
    let readme = read("README.md");
    let places: Vec<&str> = readme.lines().filter(|line| line.starts_with(['#', '|'])).collect();
    let named = |folder: &String| places.iter().any(|line| line.contains(&format!("`{folder}`")));
    let missing = folders("functions").into_iter().filter(|folder| !named(folder));
    let faults: Vec<String> =
        missing.map(|folder| format!("README.md has no heading or table row with `{folder}`")).collect();
    none_of(&faults);
}
