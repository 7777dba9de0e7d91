//! A batch of queue messages: each is parsed and worked on its own, so that a poison message or a panic fails alone and
//! its neighbours are deleted. What failed goes back to the queue and, received too often, to its dead-letter queue.

use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use carillon_pipeline::WorkError;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::de::DeserializeOwned;

/// Works every message of a batch side by side.
pub async fn each<T, F>(event: SqsEvent, work: impl Fn(T) -> F) -> SqsBatchResponse
where
    T: DeserializeOwned,
    F: Future<Output = Result<(), WorkError>>,
{
    let outcomes = event.records.into_iter().map(|record| {
        let id = record.message_id.unwrap_or_default();
        let started = parsed::<T>(record.body.as_deref()).map(&work);
        async move {
            let outcome = match started {
                Ok(working) => caught(working).await,
                Err(error) => Err(error),
            };
            (id, outcome)
        }
    });
    answer(join_all(outcomes).await)
}

/// Works every message of a batch side by side, as it came.
pub async fn raw<F>(event: SqsEvent, work: impl Fn(SqsMessage) -> F) -> SqsBatchResponse
where
    F: Future<Output = Result<(), WorkError>>,
{
    let outcomes = event.records.into_iter().map(|message| {
        let id = message.message_id.clone().unwrap_or_default();
        let working = work(message);
        async move { (id, caught(working).await) }
    });
    answer(join_all(outcomes).await)
}

/// Works the readable messages of a batch together; `work` answers one outcome for each, in order.
pub async fn together<T, F>(event: SqsEvent, work: impl FnOnce(Vec<T>) -> F) -> SqsBatchResponse
where
    T: DeserializeOwned,
    F: Future<Output = Vec<Result<(), WorkError>>>,
{
    let mut outcomes = Vec::with_capacity(event.records.len());
    let mut ids = Vec::with_capacity(event.records.len());
    let mut readable = Vec::with_capacity(event.records.len());
    for record in event.records {
        let id = record.message_id.unwrap_or_default();
        match parsed::<T>(record.body.as_deref()) {
            Ok(message) => {
                ids.push(id);
                readable.push(message);
            }
            Err(error) => outcomes.push((id, Err(error))),
        }
    }
    match AssertUnwindSafe(work(readable)).catch_unwind().await {
        Ok(worked) => outcomes.extend(ids.into_iter().zip(worked)),
        Err(_) => outcomes.extend(ids.into_iter().map(|id| (id, Err(panicked())))),
    }
    answer(outcomes)
}

fn parsed<T: DeserializeOwned>(body: Option<&str>) -> Result<T, WorkError> {
    // The error of serde_json can quote the message, which may hold personal data: only where it stopped is told.
    serde_json::from_str(body.unwrap_or_default()).map_err(|error| {
        WorkError::Unreadable(format!("not readable at line {} column {}", error.line(), error.column()))
    })
}

async fn caught(work: impl Future<Output = Result<(), WorkError>>) -> Result<(), WorkError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> WorkError {
    WorkError::Unreadable("working on it panicked".to_owned())
}

fn answer(outcomes: Vec<(String, Result<(), WorkError>)>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (id, outcome) in outcomes {
        if let Err(error) = outcome {
            tracing::warn!(message.id = %id, error = %error, "message goes back to its queue");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bodies: &[&str]) -> SqsEvent {
        let mut event = SqsEvent::default();
        for (i, body) in bodies.iter().enumerate() {
            let mut message = SqsMessage::default();
            message.message_id = Some(i.to_string());
            message.body = Some((*body).to_owned());
            event.records.push(message);
        }
        event
    }

    fn failed(response: &SqsBatchResponse) -> Vec<&str> {
        response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect()
    }

    #[tokio::test]
    async fn poison_and_panics_fail_alone() {
        let batch = event(&["1", "not json", "3", "4"]);
        let response = each(batch, |n: u32| async move {
            assert_ne!(n, 3, "a panic in the middle of the batch");
            if n == 4 { Err(WorkError::Unreadable("four".to_owned())) } else { Ok(()) }
        })
        .await;
        assert_eq!(failed(&response), ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn a_batch_worked_together_keeps_its_outcomes_with_their_messages() {
        let batch = event(&["1", "{", "3"]);
        let response = together(batch, |numbers: Vec<u32>| async move {
            numbers
                .into_iter()
                .map(|n| if n == 3 { Err(WorkError::Unreadable("three".to_owned())) } else { Ok(()) })
                .collect()
        })
        .await;
        assert_eq!(failed(&response), ["1", "2"]);
    }

    #[tokio::test]
    async fn an_unreadable_message_is_not_quoted() {
        let error = parsed::<u32>(Some("{\"phone\": \"+12025550123\"}")).unwrap_err().to_string();
        assert!(!error.contains("555"), "{error}");
    }
}
