//! The steps of `cargo xtask test`, as data, in the order in which they run: the cheapest proof first.

use crate::doc_examples;
use crate::needs::{Need, python, works};
use crate::run::{Project, shown, simulation};

/// One thing that must pass.
pub struct Step {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// What the machine must have for it.
    pub needs: &'static [Need],
    /// What to do when it fails.
    pub remedy: &'static str,
    /// Whether it runs with `--long` only.
    pub long: bool,
    /// Runs it.
    pub run: fn(&Project) -> Outcome,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It was left out, and why.
    Skipped(String),
    /// It failed, and how.
    Failed(String),
}

/// The version of cargo-deny that deny.toml is written for.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// The fuzzer that the long run installs.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.1";

/// Every step. Each cargo call selects the whole workspace: another selection would unify other features, and compile
/// most of the tree once more.
pub const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        proves: "the code is formatted",
        needs: &[Need::Rustfmt],
        remedy: "run cargo fmt --all",
        long: false,
        run: |project| shown(project.cargo(&["fmt", "--all", "--check"])),
    },
    Step {
        name: "clippy",
        proves: "no warning, in tests neither",
        needs: &[Need::Clippy],
        remedy: "change what is pointed at; a ban of clippy.toml says where to go instead",
        long: false,
        run: |project| {
            shown(project.cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "--deny",
                "warnings",
            ]))
        },
    },
    Step {
        name: "build",
        proves: "the debug binaries and tests that the steps below run",
        needs: &[],
        remedy: "if Cargo.lock is what is wrong, run cargo build --workspace and commit it",
        long: false,
        run: |project| shown(project.cargo(&["build", "--workspace", "--all-targets", "--locked"])),
    },
    Step {
        name: "tests",
        proves: "unit, layout and black-box tests",
        needs: &[],
        remedy: "run one test with cargo nextest run --workspace <part of its name>",
        long: false,
        run: tests,
    },
    Step {
        name: "doc-examples",
        proves: "the examples in documentation comments",
        needs: &[],
        remedy: "run cargo test --doc --workspace",
        long: false,
        run: doc_examples,
    },
    Step {
        name: "deny",
        proves: "licences, duplicate and banned crates, sources",
        needs: &[],
        remedy: "use another crate or version, or write down in deny.toml why not",
        long: false,
        run: deny,
    },
    Step {
        name: "template",
        proves: "template.yaml, by cfn-lint and by our own rules",
        needs: &[Need::Python],
        remedy: "change template.yaml; each line above names a fault",
        long: false,
        run: |project| script(project, "infra/check_template.py"),
    },
    Step {
        name: "emulated-aws",
        proves: "the path of a notification, with the real template and binaries",
        needs: &[Need::Python],
        remedy: "read the functions' logs above; the log of the emulation is kept where the last lines say",
        long: false,
        run: |project| script(project, "infra/emulated_aws/test_send_path.py"),
    },
    Step {
        name: "sim",
        proves: "100,000 seeds of the simulation; the tests above play 2,000",
        needs: &[],
        remedy: "read the story of the seed above; cargo xtask sim --seed S tells it again",
        long: true,
        run: |project| shown(simulation(project, &["--seeds".to_owned(), "100000".to_owned()])),
    },
    Step {
        name: "fuzz",
        proves: "webhooks and events of any bytes do no harm, a minute each",
        needs: &[],
        remedy: "the input lies in tests/fuzz/artifacts; make it a test in tests/tests/black_box/parsers.rs",
        long: true,
        run: fuzz,
    },
    Step {
        name: "slow",
        proves: "the tests that are ignored because they take minutes",
        needs: &[],
        remedy: "run one with cargo nextest run --workspace --run-ignored only <part of its name>",
        long: true,
        run: slow_tests,
    },
    Step {
        name: "large",
        proves: "an event to 100,000 recipients: time, memory, writes and queue calls",
        needs: &[],
        remedy: "run one with CARILLON_LARGE=100000 cargo test --release --workspace --test large_audience, or smaller",
        long: true,
        run: large_audience,
    },
];

fn tests(project: &Project) -> Outcome {
    if has_nextest(project) {
        return shown(project.cargo(&["nextest", "run", "--workspace", "--locked"]));
    }
    println!(
        "cargo-nextest is not installed (cargo install cargo-nextest --locked): cargo test does, but slower"
    );
    shown(project.cargo(&["test", "--workspace", "--locked"]))
}

fn slow_tests(project: &Project) -> Outcome {
    if has_nextest(project) {
        let ignored =
            ["nextest", "run", "--workspace", "--locked", "--run-ignored", "only", "--no-tests", "pass"];
        return shown(project.cargo(&ignored));
    }
    shown(project.cargo(&["test", "--workspace", "--locked", "--", "--ignored"]))
}

fn large_audience(project: &Project) -> Outcome {
    let mut call = if has_nextest(project) {
        let binaries = "binary(large_audience) | test(large::) | (binary(engine) & test(pacing::))";
        let nextest = ["nextest", "run", "--release", "--workspace", "--locked", "--profile", "long", "-E"];
        project.cargo(&[&nextest[..], &[binaries]].concat())
    } else {
        let test = ["test", "--release", "--workspace", "--locked", "--test", "large_audience"];
        project.cargo(&[&test[..], &["--", "--nocapture"]].concat())
    };
    call.env("CARILLON_LARGE", "100000");
    shown(call)
}

fn has_nextest(project: &Project) -> bool {
    works(&mut project.cargo(&["nextest", "--version"]))
}

fn doc_examples(project: &Project) -> Outcome {
    match doc_examples::any(&project.root) {
        Ok(true) => shown(project.cargo(&["test", "--doc", "--workspace", "--locked"])),
        Ok(false) => Outcome::Skipped("there are none".to_owned()),
        Err(error) => Outcome::Failed(format!("the sources could not be read: {error}")),
    }
}

fn deny(project: &Project) -> Outcome {
    if !works(&mut project.cargo(&["deny", "--version"])) {
        if !project.long {
            let how =
                "cargo-deny is not installed; cargo install cargo-deny --locked, or run this with --long";
            return Outcome::Skipped(how.to_owned());
        }
        let mut install = project.cargo(&["install", "--locked", CARGO_DENY, "--root"]);
        install.arg(project.tools());
        match shown(install) {
            Outcome::Passed => {}
            failed => return failed,
        }
    }
    shown(project.cargo(&["deny", "check", "bans", "licenses", "sources"]))
}

/// Fuzzes each parser for a minute, with the tool in the project's own folder and the nightly compiler that it needs.
fn fuzz(project: &Project) -> Outcome {
    let nightly = |arguments: &[&str]| {
        let mut call = project.command("cargo");
        call.arg("+nightly").args(arguments).current_dir(project.root.join("tests"));
        call
    };
    if !works(&mut nightly(&["--version"])) {
        return Outcome::Failed("a nightly compiler is missing: rustup toolchain install nightly".to_owned());
    }
    let tool = project.tools().join("bin/cargo-fuzz");
    if !tool.exists() {
        let mut install = project.cargo(&["install", "--locked", CARGO_FUZZ, "--root"]);
        install.arg(project.tools());
        match shown(install) {
            Outcome::Passed => {}
            failed => return failed,
        }
    }
    for target in ["webhook", "ses", "event"] {
        let folder = project.root.join("target/fuzz");
        let mut run = nightly(&["fuzz", "run", target, "--target-dir"]);
        run.arg(folder).args(["--", "-max_total_time=60", "-max_len=4096"]);
        match shown(run) {
            Outcome::Passed => {}
            failed => return failed,
        }
    }
    Outcome::Passed
}

fn script(project: &Project, path: &str) -> Outcome {
    let Some(python) = python() else {
        return Outcome::Failed("there is no Python 3.11 or later".to_owned());
    };
    let mut command = project.command(python);
    command.arg(path);
    shown(command)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_step_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
