//! The `carillon` command: parses the command line, runs one command, ends with its exit code: 0 done, 1 found a fault,
//! 2 wrong usage, 3 no cloud reached. [`run`] comes next.

mod apply;
mod arguments;
mod bootstrap;
mod cleanup;
mod client;
mod dead_letters;
mod demo;
mod dev;
mod explain;
mod forecast;
mod groups;
mod headline;
mod health;
mod job;
mod keys;
mod log;
mod logging;
mod outcome;
mod pack;
mod pack_part;
mod people;
mod prove;
mod readiness;
mod recipients;
mod retry;
mod run;
mod schedules;
mod send;
mod signals;
mod stats;
mod switch;
mod table;
mod templates;
mod test_templates;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let json = arguments.json;
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run::run(arguments)),
        Err(error) => Err(outcome::Failure::Fault(format!("no threads to work with: {error}"))),
    };
    outcome::report(&ended, json)
}
