//! Statistics.

use carillon_domain::Problem;
use carillon_pipeline::Pipeline;
use carillon_pipeline::stats::StatsWanted;
use carillon_runtime::http::{Answer, Request};

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let wanted = StatsWanted {
        from: request.query_as("from")?,
        to: request.query_as("to")?,
        by: request.query_as("by")?.unwrap_or_default(),
    };
    Ok(Answer::ok(&pipeline.stats(&request.caller()?.tenant, &wanted).await?))
}
