//! Imports a file of recipients, a request at a time, so that a file of any size takes no more memory than its longest
//! line. Importing again repeats nothing: a line creates or replaces the recipient that it names.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::faults;
use super::request::Request;
use crate::client::{CallError, Client};
use crate::log::field;
use crate::outcome::{Done, Failure, complain};

/// The call.
const PATH: &str = "/v1/recipients/import";

/// What became of the lines.
#[derive(Debug, Default)]
struct Report {
    created: u64,
    updated: u64,
    failed: Vec<FailedLine>,
}

/// A line that was not taken.
#[derive(Debug)]
struct FailedLine {
    number: usize,
    reason: String,
}

/// Imports a file, or standard input.
///
/// # Errors
/// When the file cannot be read, or the API refuses a whole request or cannot be reached.
pub(super) async fn import(client: &Client, file: &str) -> Result<Done, Failure> {
    if file == "-" {
        return Ok(all(client, &mut BufReader::new(stdin()), None).await?.done());
    }
    let unreadable = |error| Failure::Fault(format!("the file {file} cannot be read: {error}"));
    let open = File::open(file).map_err(unreadable)?;
    let bytes = open.metadata().map_err(unreadable)?.len();
    Ok(all(client, &mut BufReader::new(open), Some(bytes)).await?.done())
}

async fn all(client: &Client, lines: &mut impl BufRead, bytes: Option<u64>) -> Result<Report, Failure> {
    let bar = progress(bytes);
    let (mut report, mut request, mut number) = (Report::default(), Request::default(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let read =
            read.map_err(|error| Failure::Fault(format!("line {} cannot be read: {error}", number + 1)))?;
        if read == 0 {
            break;
        }
        number += 1;
        let content = line.trim_ascii();
        if let Some(reason) = Request::refusal(content) {
            report.failed.push(FailedLine { number, reason: reason.to_owned() });
        } else if !content.is_empty() {
            if !request.has_room(content) {
                report.add(client, std::mem::take(&mut request)).await?;
            }
            request.push(number, content);
        }
        bar.inc(read as u64);
    }
    report.add(client, request).await?;
    bar.finish_and_clear();
    report.failed.sort_by_key(|line| line.number);
    Ok(report)
}

/// Drawn on a terminal only.
fn progress(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "importing {bar:40} {binary_bytes} of {binary_total_bytes}"),
        None => (ProgressBar::no_length(), "importing {binary_bytes}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Report {
    /// Posts a request and adds what became of its lines.
    async fn add(&mut self, client: &Client, request: Request) -> Result<(), CallError> {
        let Some(first) = request.numbers.first() else { return Ok(()) };
        match client.post_lines(PATH, request.body).await {
            Ok(answer) => {
                self.count(&request.numbers, &answer);
                Ok(())
            }
            Err(error) => {
                if *first > 1 {
                    complain(&format!(
                        "carillon: the lines before line {first} are done; importing the file again repeats nothing"
                    ));
                }
                Err(error)
            }
        }
    }

    fn count(&mut self, numbers: &[usize], answer: &Value) {
        self.created += answer["created"].as_u64().unwrap_or_default();
        self.updated += answer["updated"].as_u64().unwrap_or_default();
        for line in
            answer["lines"].as_array().into_iter().flatten().filter(|line| line["problem"].is_object())
        {
            // The API counts the lines of the request, from 1.
            let place = line["line"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
            let number = place.checked_sub(1).and_then(|i| numbers.get(i)).copied().unwrap_or_default();
            let problem = &line["problem"];
            let listed = faults(&problem["errors"]);
            let reason = if listed.is_empty() { field(problem, "detail") } else { listed };
            self.failed.push(FailedLine { number, reason });
        }
    }

    fn done(&self) -> Done {
        let mut told: Vec<String> =
            self.failed.iter().map(|line| format!("line {}: {}", line.number, line.reason)).collect();
        told.push(format!(
            "{} created, {} updated, {} failed",
            self.created,
            self.updated,
            self.failed.len()
        ));
        let lines: Vec<Value> =
            self.failed.iter().map(|l| json!({"line": l.number, "reason": l.reason})).collect();
        let json = json!({
            "created": self.created, "updated": self.updated, "failed": self.failed.len(), "failed_lines": lines
        });
        Done { text: told.join("\n"), json, found_fault: !self.failed.is_empty() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_line_is_told_by_its_number_in_the_file() {
        let answer = json!({
            "created": 1, "updated": 1, "failed": 2,
            "lines": [
                {"line": 1, "status": 201},
                {"line": 2, "status": 422, "problem": {"detail": "d", "errors": [{"pointer": "/phone", "detail": "is no phone number"}]}},
                {"line": 3, "status": 400, "problem": {"detail": "The line is not JSON (column 1)."}},
                {"line": 4, "status": 200}
            ]
        });
        let mut report = Report::default();
        report.count(&[11, 13, 14, 15], &answer);
        let done = report.done();
        assert!(done.found_fault);
        assert_eq!(
            done.text,
            "line 13: /phone: is no phone number\n\
             line 14: The line is not JSON (column 1).\n\
             1 created, 1 updated, 2 failed"
        );
    }
}
