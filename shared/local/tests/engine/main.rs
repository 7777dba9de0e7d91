//! The pipeline on the in-memory model, and the model against the real thing. One binary, because each is linked with
//! everything that there is.

#![cfg(test)]

mod guarantees;
mod inbox;
mod model;
mod pacing;
mod reminders;
mod simulation;
mod statistics;
mod write_units;
