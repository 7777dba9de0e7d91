//! Everything over HTTP, or through the command, as its users meet it: a cloud in the test's own process, or the binaries.
//! One binary, because each is linked with everything that there is.

#![cfg(test)]

mod bad_input;
mod clock;
mod command;
mod credits;
mod crm_path;
mod dead_letters;
mod deciding;
mod digests;
mod docs_samples;
mod erase;
mod escalation;
mod exams_path;
mod faults;
mod forecast;
mod health;
mod inbox;
mod isolation;
mod jobs;
mod kill;
mod large;
mod life;
mod loans_path;
mod logs;
mod messaging_path;
mod operate;
mod pacing;
mod packs;
mod parsers;
mod reminders;
mod retention;
mod retry;
mod schedules;
mod statistics;
mod switches;
mod test_templates;
mod unsubscribe;
mod waiting;
mod webhooks;
mod window;
mod window_reminder;
