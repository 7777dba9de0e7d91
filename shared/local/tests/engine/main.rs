//! The pipeline on the in-memory model, and the model against the real thing. One binary, because each is linked with
//! everything that there is.

#![cfg(test)]

mod guarantees;
mod model;
mod pacing;
mod simulation;
mod write_units;
