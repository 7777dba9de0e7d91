//! What the machine must have. Everything that is missing is named before the first step costs a minute.

use std::process::{Command, Stdio};

use crate::run::Project;

/// Something that a step cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
    /// A Python for the scripts in `infra/`, which install the rest themselves.
    Python,
}

/// The names under which a Python that is new enough may be found.
const PYTHONS: &[&str] = &["python3", "python3.14", "python3.13", "python3.12", "python3.11"];

impl Need {
    /// What to do about it, if it is missing.
    pub fn missing(self, project: &Project) -> Option<String> {
        match self {
            Self::Rustfmt => absent(project.cargo(&["fmt", "--version"]), "rustup component add rustfmt"),
            Self::Clippy => absent(project.cargo(&["clippy", "--version"]), "rustup component add clippy"),
            Self::Python => {
                let Some(python) = python() else {
                    let install =
                        "Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python";
                    return Some(format!("Python 3.11 or later is missing ({install})"));
                };
                let made = project.root.join(".local/emulated-aws/bin/python").exists();
                if made || works(Command::new(python).args(["-c", "import ensurepip, venv"])) {
                    return None;
                }
                Some(format!("{python} has no venv module (Debian, Ubuntu: apt-get install python3-venv)"))
            }
        }
    }
}

/// The name of a Python that is new enough for `infra/`.
pub fn python() -> Option<&'static str> {
    let check = "import sys; sys.exit(sys.version_info < (3, 11))";
    PYTHONS.iter().copied().find(|python| works(Command::new(python).args(["-c", check])))
}

/// Whether a command can be run and succeeds; what it prints is of no interest.
pub fn works(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

fn absent(mut command: Command, install: &str) -> Option<String> {
    if works(&mut command) {
        return None;
    }
    let arguments: Vec<_> = command.get_args().take(1).map(|argument| argument.to_string_lossy()).collect();
    Some(format!("cargo {} is missing ({install})", arguments.join(" ")))
}
