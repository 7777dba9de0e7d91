//! Everything over HTTP, or through the command, as its users meet it: a cloud in the test's own process, or the binaries.
//! One binary, because each is linked with everything that there is.

#![cfg(test)]

mod bad_input;
mod clock;
mod command;
mod crm_path;
mod dead_letters;
mod deciding;
mod exams_path;
mod faults;
mod isolation;
mod jobs;
mod kill;
mod large;
mod life;
mod loans_path;
mod messaging_path;
mod operate;
mod pacing;
mod packs;
mod parsers;
mod retry;
mod switches;
mod test_templates;
mod unsubscribe;
mod webhooks;
mod window;
