//! Dead letters: the list, and putting them back to work.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_pipeline::redrive::DeadLetterFilter;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let filter = DeadLetterFilter {
        ids: None,
        queue: request.query_as("queue")?,
        from: request.query_as("from")?,
        to: request.query_as("to")?,
    };
    let window = request.window()?;
    let (items, next) = pipeline
        .dead_letters_view(request.caller()?, &filter, window.limit, window.cursor.as_deref())
        .await?;
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn redrive(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    pipeline.redrive(request.caller()?, request.json(&[])?).await.map(Answer::worked)
}
