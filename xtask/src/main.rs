//! `cargo xtask test`: everything that must pass before a change is merged, with its set-up. `cargo xtask sim`: as many
//! seeds of the simulation as one likes. Reads the command line;
//! `steps` says what there is, `needs` what the machine must have, `run` runs it and reports. The standard library only,
//! so that it starts at once in a fresh clone.

mod doc_examples;
mod needs;
mod run;
mod steps;

use std::process::ExitCode;

use steps::{STEPS, Step};

const USAGE: &str = "\
Usage: cargo xtask test [--long] [--only STEP]... [--list]
       cargo xtask sim [--seeds N] [--from S] [--seed S]

test runs every step in order and stops at the first that fails.

  --long        also what takes long: the slow tests, and installing what a step lacks
  --only STEP   this step and no other; may be given several times
  --list        name the steps and what each proves

sim plays seeds of the simulation, optimised; the first that finds something is told, and fails.

  --seeds N     so many, from --from (0) on; 1000 when nothing is said
  --seed S      this one alone, with its story";

/// What the command line asks for.
#[derive(Debug)]
enum Request {
    Help,
    List,
    Test {
        long: bool,
        only: Vec<String>,
    },
    /// What the simulation is told.
    Sim(Vec<String>),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match parse(&arguments) {
        Ok(Request::Help) => println!("{USAGE}"),
        Ok(Request::List) => list(),
        Ok(Request::Test { long, only }) => return run::run(&chosen(long, &only), long),
        Ok(Request::Sim(arguments)) => return run::simulate(&arguments),
        Err(fault) => {
            eprintln!("{fault}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut arguments = arguments.iter().map(String::as_str);
    match arguments.next() {
        Some("test") => {}
        Some("sim") => return Ok(Request::Sim(arguments.map(str::to_owned).collect())),
        Some("help" | "--help" | "-h") => return Ok(Request::Help),
        Some(other) => return Err(format!("there is no command {other}")),
        None => return Err("a command is missing".to_owned()),
    }
    let (mut long, mut only) = (false, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument {
            "--long" => long = true,
            "--list" => return Ok(Request::List),
            "--help" | "-h" => return Ok(Request::Help),
            "--only" => {
                let name = arguments.next().ok_or("--only needs the name of a step")?;
                if !STEPS.iter().any(|step| step.name == name) {
                    let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
                    return Err(format!("there is no step {name}; there are: {}", names.join(", ")));
                }
                only.push(name.to_owned());
            }
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(Request::Test { long, only })
}

fn chosen(long: bool, only: &[String]) -> Vec<&'static Step> {
    let wanted = |step: &&Step| match only {
        [] => long || !step.long,
        names => names.iter().any(|name| name == step.name),
    };
    STEPS.iter().filter(wanted).collect()
}

fn list() {
    for step in STEPS {
        let long = if step.long { " (--long)" } else { "" };
        println!("{:<14}{}{long}", step.name, step.proves);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Request, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_long_steps_run_when_asked_for() {
        let names = |long, only: &[String]| chosen(long, only).iter().map(|s| s.name).collect::<Vec<_>>();
        assert!(!names(false, &[]).contains(&"slow"));
        assert!(names(true, &[]).contains(&"slow"));
        assert_eq!(names(false, &["slow".to_owned(), "fmt".to_owned()]), ["fmt", "slow"]);
    }

    #[test]
    fn the_simulation_is_told_what_follows_its_name() {
        assert!(matches!(asked("sim --seed 7"), Ok(Request::Sim(told)) if told == ["--seed", "7"]));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["", "tset", "test --only", "test --only nothing", "test fmt"] {
            assert!(asked(line).is_err(), "{line}");
        }
        assert!(
            matches!(asked("test --only fmt --long"), Ok(Request::Test { long: true, only }) if only == ["fmt"])
        );
    }
}
