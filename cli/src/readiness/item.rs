//! One thing that must be in order before messages go out, and what was found about it.

use serde_json::{Value, json};

use crate::words::counted;

/// One thing that must be in order.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// Its name for programs.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// How it is, in one line.
    pub text: String,
    /// What there is of it, a line each.
    pub details: Vec<String>,
    /// What is not in order.
    pub findings: Vec<Finding>,
}

/// Something that is not in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Whether messages cannot go out because of it; else it is only worth knowing.
    pub fault: bool,
    /// What is wrong.
    pub cause: String,
    /// The command, or the act, that puts it right.
    pub fix: String,
}

impl Finding {
    /// Messages cannot go out because of this.
    pub(super) fn fault(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fault: true, cause: cause.into(), fix: fix.into() }
    }

    /// Worth knowing.
    pub(super) fn warning(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fault: false, cause: cause.into(), fix: fix.into() }
    }

    /// The kind in one word.
    pub(super) fn kind(&self) -> &'static str {
        if self.fault { "fault" } else { "warning" }
    }

    fn to_json(&self) -> Value {
        json!({"fault": self.fault, "cause": self.cause, "fix": self.fix})
    }
}

impl Item {
    /// Whether messages can go out as far as this is concerned.
    pub(super) fn ok(&self) -> bool {
        self.faults().next().is_none()
    }

    /// Why not.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.fault)
    }

    /// For a program.
    pub(super) fn to_json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(Finding::to_json).collect();
        json!({
            "name": self.name, "title": self.title, "ok": self.ok(), "text": self.text,
            "details": self.details, "findings": findings,
        })
    }
}

/// Faults and warnings, counted.
pub(super) fn tally(findings: &[&Finding]) -> String {
    let faults = findings.iter().filter(|finding| finding.fault).count();
    let warnings = findings.len() - faults;
    format!("{}, {}", counted(faults, "fault"), counted(warnings, "warning"))
}
