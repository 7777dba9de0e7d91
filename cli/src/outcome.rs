//! How a command ends: what it prints and the process's exit code. Every command answers one; `main` prints it.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::client::CallError;
use crate::pack::PackFaults;

/// What a command that ran to its end has to say.
#[derive(Debug, Default)]
pub struct Done {
    /// For a person.
    pub text: String,
    /// The same for a program.
    pub json: Value,
    /// The command did its work and found something wrong.
    pub found_fault: bool,
}

/// Why a command could not do its work; the text is a whole sentence for a person.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something is wrong with the input or was answered by the API.
    #[error("{0}")]
    Fault(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The API refused a call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A pack cannot be used as it is.
    #[error(transparent)]
    Pack(#[from] PackFaults),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Call(error) if error.is_unreachable() => 3,
            Self::Fault(_) | Self::Pack(_) | Self::Call(_) => 1,
        }
    }

    fn to_json(&self) -> Value {
        let mut error = json!({"detail": self.to_string()});
        match self {
            Self::Call(CallError::Refused { problem, .. }) => error["problem"] = json!(problem),
            Self::Pack(faults) => error["faults"] = faults.to_json(),
            _ => {}
        }
        json!({"error": error})
    }
}

/// Prints how a command ended. With `json`, standard output holds one JSON document whatever happened.
#[must_use]
pub fn report(ended: &Result<Done, Failure>, json: bool) -> ExitCode {
    match ended {
        Ok(done) => {
            print(done, json);
            ExitCode::from(u8::from(done.found_fault))
        }
        Err(failure) => {
            if json {
                say(&failure.to_json().to_string());
            }
            complain(&format!("carillon: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Prints what a command has to say; one that has said everything before has nothing left.
pub fn print(done: &Done, json: bool) {
    match json {
        true if done.json.is_null() => {}
        true => say(&done.json.to_string()),
        false => say(&done.text),
    }
}

/// Prints to standard output. A reader that has gone away, as `head` does, is no fault of ours.
pub fn say(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints to standard error, which nobody may be reading.
pub fn complain(text: &str) {
    if writeln!(std::io::stderr().lock(), "{text}").is_err() {
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whose_turn_it_is() {
        let unreachable =
            CallError::Unreachable { url: "http://127.0.0.1:1".to_owned(), cause: "refused".to_owned() };
        for (failure, code) in [
            (Failure::Fault("x".to_owned()), 1),
            (Failure::Usage("x".to_owned()), 2),
            (Failure::Call(unreachable), 3),
            (Failure::Call(CallError::Unreadable { call: "GET /".to_owned(), status: 200 }), 1),
        ] {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }
}
