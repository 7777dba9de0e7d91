//! What may depend on what: the arrows of ARCHITECTURE.md, and whatever they lead to.

use crate::none_of;
use crate::project::packages;

/// From, and where to. A crate may also name what its targets may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("cli", &["shared/local", "functions"]),
    (
        "shared/local",
        &["functions", "shared/runtime", "shared/aws", "shared/channels", "shared/pipeline", "shared/domain"],
    ),
    ("functions", &["shared/runtime", "shared/pipeline", "shared/channels", "shared/aws", "shared/domain"]),
    ("shared/runtime", &["shared/pipeline", "shared/domain"]),
    ("shared/aws", &["shared/pipeline", "shared/domain"]),
    ("shared/channels", &["shared/pipeline", "shared/domain"]),
    ("shared/pipeline", &["shared/domain"]),
    ("shared/domain", &[]),
];

/// The crates that look at everything and that nothing may depend on.
const LEAVES: &[&str] = &["tests", "xtask"];

fn part(folder: &str) -> &str {
    if folder.starts_with("functions/") { "functions" } else { folder }
}

fn leads_to(from: &str, to: &str) -> bool {
    let targets =
        ARROWS.iter().find(|(part, _)| *part == from).map_or(&[] as &[&str], |(_, targets)| targets);
    targets.iter().any(|target| *target == to || leads_to(target, to))
}

#[test]
fn every_dependency_follows_the_arrows() {
    let packages = packages();
    let mut faults = Vec::new();
    for package in &packages {
        let from = part(&package.folder);
        if !LEAVES.contains(&from) && !ARROWS.iter().any(|(part, _)| *part == from) {
            faults.push(format!("{} has no place in the layout", package.folder));
        }
        for dependency in packages.iter().filter(|other| package.dependencies.contains(&other.name)) {
            let to = part(&dependency.folder);
            if LEAVES.contains(&to) || !(LEAVES.contains(&from) || leads_to(from, to)) {
                faults.push(format!("{} depends on {}", package.folder, dependency.folder));
            }
        }
    }
    none_of(&faults);
}

#[test]
fn the_arrows_point_one_way() {
    for (from, _) in ARROWS {
        assert!(!leads_to(from, from), "{from} leads to itself");
    }
    assert!(leads_to("cli", "shared/domain"));
    assert!(!leads_to("functions", "shared/local"));
}
