//! Follows a job to its end: a bar on a terminal, a line for anything else. Every command whose call may become a job
//! hands the answer of that call to [`follow`] and goes on with the result, whichever way it came.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::sleep;

use crate::client::{CallError, Client, ProblemAnswer, encoded};
use crate::outcome::{Failure, complain};

/// How soon the job is looked at first: many end within a moment.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// How often it is looked at later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often in a row a look may fail before the command gives up; the job goes on either way.
const MISSED_LOOKS: u32 = 5;

/// The result of a call: its answer when it was small, else that of the job that the answer names. `doing` says what is
/// going on, such as "normalising".
///
/// # Errors
/// When the job fails, with its problem, or the cloud cannot be reached any more.
pub async fn follow(client: &Client, answer: Value, doing: &str) -> Result<Value, Failure> {
    let Some(id) = answer["job_id"].as_str() else { return Ok(answer) };
    let bar = bar(doing);
    if bar.is_hidden() {
        complain(&format!("{doing}: job {id}"));
    }
    let ended = ended(client, id, &bar).await;
    bar.finish_and_clear();
    ended
}

async fn ended(client: &Client, id: &str, bar: &ProgressBar) -> Result<Value, Failure> {
    let path = format!("/v1/jobs/{}", encoded(id));
    let (mut wait, mut missed) = (FIRST_LOOK, 0);
    loop {
        let mut job = match client.get(&path).await {
            Ok(job) => {
                missed = 0;
                job
            }
            Err(error) if missed < MISSED_LOOKS && may_pass(&error) => {
                missed += 1;
                sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => {
                complain(&format!("carillon: the job {id} goes on; GET {path} says how far it is"));
                return Err(error.into());
            }
        };
        match job["state"].as_str() {
            Some("done") => return Ok(job["result"].take()),
            Some("failed") => return Err(failed(id, job["problem"].take()).into()),
            _ => draw(bar, &job["progress"]),
        }
        sleep(wait).await;
        wait = (wait * 2).min(LOOK_EVERY);
    }
}

fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Refused { problem, .. } => problem.status == 503,
        CallError::Unreachable { .. } => true,
        CallError::Unreadable { .. } => false,
    }
}

fn failed(id: &str, problem: Value) -> CallError {
    let call = format!("job {id}");
    match serde_json::from_value::<ProblemAnswer>(problem) {
        Ok(problem) => CallError::Refused { call, problem: Box::new(problem) },
        Err(_) => CallError::Unreadable { call, status: 200 },
    }
}

/// Drawn on a terminal only.
fn bar(doing: &str) -> ProgressBar {
    ProgressBar::no_length().with_style(style("{msg} {pos}")).with_message(doing.to_owned())
}

fn draw(bar: &ProgressBar, progress: &Value) {
    if let Some(total) = progress["total"].as_u64().filter(|total| bar.length() != Some(*total)) {
        bar.set_length(total);
        bar.set_style(style("{msg} {bar:40} {pos} of {len}"));
    }
    bar.set_position(progress["done"].as_u64().unwrap_or_default());
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn what_was_small_is_the_result_itself() {
        // Port 1: whoever called would fail.
        let client = Client::new("http://127.0.0.1:1", None).unwrap();
        let answer = json!({"changed": 1});
        assert_eq!(follow(&client, answer.clone(), "normalising").await.unwrap(), answer);
    }

    #[test]
    fn a_failed_job_says_why() {
        let problem = json!({
            "type": "urn:carillon:problem:internal", "title": "Something went wrong here", "status": 500,
            "detail": "The same step failed 5 times.", "instance": "/v1/jobs/j"
        });
        assert_eq!(
            failed("j", problem).to_string(),
            "job j: Something went wrong here (500). The same step failed 5 times."
        );
        assert!(matches!(failed("j", Value::Null), CallError::Unreadable { .. }));
    }

    #[test]
    fn the_bar_gets_its_length_when_the_job_knows_it() {
        let bar = bar("normalising");
        draw(&bar, &json!({"done": 3}));
        assert_eq!((bar.position(), bar.length()), (3, None));
        draw(&bar, &json!({"done": 200, "total": 1_300}));
        assert_eq!((bar.position(), bar.length()), (200, Some(1_300)));
    }
}
