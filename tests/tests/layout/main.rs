//! The shape of the project: what depends on what, that one thing has one name everywhere, how large a file may be, which
//! words may not be in it, that the template routes what the functions answer and gives them the variables that they
//! read, that ARCHITECTURE.md draws the states as they are, that docs/preferences.md says who wins, and that
//! docs/coverage.md names tests that are there. Reads the checkout; runs nothing but `cargo metadata`.

#![cfg(test)]

mod arrows;
mod coverage;
mod environment;
mod names;
mod openapi;
mod preferences;
mod project;
mod routes;
mod sources;
mod state_chart;
mod template;

/// Fails with every fault at once.
fn none_of(faults: &[String]) {
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
}
