//! The whole cloud in one process: queues, fake providers and their outbox on one SQLite file, so that `carillon dev`
//! needs no account and loses nothing when it is killed.

mod answer;
pub mod changes;
pub mod clock;
pub mod cloud;
pub mod fakes;
pub mod journal;
pub mod model;
pub mod outbox;
pub mod queues;
pub mod schedules;
pub mod secrets;
pub mod simulation;
#[cfg(test)]
mod testing;
