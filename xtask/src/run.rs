//! Runs steps one after the other, says what each is and how long it took, and stops at the first that fails.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::steps::{Outcome, Step};

/// The checkout that the steps work on.
pub struct Project {
    /// Its root.
    pub root: PathBuf,
    /// Whether there is time for what takes long.
    pub long: bool,
}

impl Project {
    fn here(long: bool) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned);
        Self { root, long }
    }

    /// Where a step installs a tool that is missing: nothing is put outside the checkout.
    pub fn tools(&self) -> PathBuf {
        self.root.join(".local/tools")
    }

    /// A call of the cargo that runs this.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments);
        command
    }

    /// A command in the checkout, without input, that finds the installed tools.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.tools().join("bin")).chain(std::env::split_paths(&path));
        let mut command = Command::new(program.into());
        command.current_dir(&self.root).stdin(Stdio::null());
        // A folder with a colon in its name cannot be in a PATH: then the tools are only found where they were.
        command.env("PATH", std::env::join_paths(folders).unwrap_or(path));
        command
    }
}

/// Runs a command and shows what it prints.
pub fn shown(mut command: Command) -> Outcome {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    let line = program + &arguments.collect::<String>();
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{line}` ended with {status}")),
        Err(error) => Outcome::Failed(format!("`{line}` could not be started: {error}")),
    }
}

/// Runs the steps. The exit code is that of `cargo xtask test`.
pub fn run(steps: &[&Step], long: bool) -> ExitCode {
    let project = Project::here(long);
    if !complete(&project, steps) {
        return ExitCode::FAILURE;
    }
    let started = Instant::now();
    let mut rows = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        println!("\n== {} ({} of {}): {}", step.name, i + 1, steps.len(), step.proves);
        let begun = Instant::now();
        let outcome = (step.run)(&project);
        let took = begun.elapsed();
        match &outcome {
            Outcome::Passed => println!("== {}: passed in {}", step.name, seconds(took)),
            Outcome::Skipped(why) => println!("== {}: skipped: {why}", step.name),
            Outcome::Failed(why) => {
                rows.push((step.name, took, outcome.clone()));
                print!("{}", table(&rows, started.elapsed()));
                println!("\nFAILED at {}: {why}", step.name);
                println!("To do: {}", step.remedy);
                println!("Only this step again: cargo xtask test --only {}", step.name);
                return ExitCode::FAILURE;
            }
        }
        rows.push((step.name, took, outcome));
    }
    print!("{}", table(&rows, started.elapsed()));
    println!("\nEverything that ran has passed.");
    ExitCode::SUCCESS
}

/// Plays seeds of the simulation. The exit code is that of `cargo xtask sim`.
pub fn simulate(arguments: &[String]) -> ExitCode {
    match shown(simulation(&Project::here(false), arguments)) {
        Outcome::Failed(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
        Outcome::Passed | Outcome::Skipped(_) => ExitCode::SUCCESS,
    }
}

/// The simulation, optimised: its seeds are many.
pub fn simulation(project: &Project, arguments: &[String]) -> Command {
    let mut command = project.cargo(&["run", "--release", "--locked", "--quiet", "--bin", "simulate", "--"]);
    command.args(arguments);
    command
}

/// Says what the machine lacks, all of it at once.
fn complete(project: &Project, steps: &[&Step]) -> bool {
    let mut asked = Vec::new();
    let mut complete = true;
    for step in steps {
        for need in step.needs {
            if asked.contains(need) {
                continue;
            }
            asked.push(*need);
            if let Some(missing) = need.missing(project) {
                println!("{} cannot run: {missing}", step.name);
                complete = false;
            }
        }
    }
    complete
}

fn table(rows: &[(&str, Duration, Outcome)], total: Duration) -> String {
    let line = |(name, took, outcome): &(&str, Duration, Outcome)| match outcome {
        Outcome::Passed => format!("{name:<14}{:>10}\n", seconds(*took)),
        Outcome::Skipped(why) => format!("{name:<14}{:>10}: {why}\n", "skipped"),
        Outcome::Failed(_) => format!("{name:<14}{:>10}  FAILED\n", seconds(*took)),
    };
    let lines: String = rows.iter().map(line).collect();
    format!("\n{:<14}{:>10}\n{lines}{:<14}{:>10}\n", "step", "time", "all", seconds(total))
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_times_and_what_was_left_out() {
        let rows = [
            ("fmt", Duration::from_millis(1_240), Outcome::Passed),
            ("deny", Duration::ZERO, Outcome::Skipped("not installed".to_owned())),
            ("template", Duration::from_secs(2), Outcome::Failed("why".to_owned())),
        ];
        let lines = table(&rows, Duration::from_secs(4));
        let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[2], ["fmt", "1.2", "s"]);
        assert_eq!(lines[3], ["deny", "skipped:", "not", "installed"]);
        assert_eq!(lines[4], ["template", "2.0", "s", "FAILED"]);
        assert_eq!(lines[5], ["all", "4.0", "s"]);
    }

    #[test]
    fn a_command_that_fails_says_which_it_was() {
        let project = Project::here(false);
        assert!(
            matches!(shown(project.cargo(&["no-such-command"])), Outcome::Failed(why) if why.contains("no-such-command"))
        );
        assert!(matches!(shown(project.command("/no/such/program")), Outcome::Failed(_)));
    }
}
