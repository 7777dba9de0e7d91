//! Where each channel sends from.

use carillon_domain::{Channel, Problem};
use carillon_pipeline::Pipeline;
use carillon_runtime::http::{Answer, Request};

fn channel(request: &Request) -> Result<Channel, Problem> {
    let name: String = request.part("channel")?;
    name.parse().map_err(|()| Problem::not_found("channel", &name))
}

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (channel, tenant, body) = (channel(request)?, &request.caller()?.tenant, request.json(&[])?);
    let new = pipeline.configure_channel(tenant, channel, body).await?;
    let view = pipeline.channel_view(tenant, channel).await?.unwrap_or_default();
    Ok(Answer::put(new, &view))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let channel = channel(request)?;
    let view = pipeline.channel_view(&request.caller()?.tenant, channel).await?;
    view.map(|view| Answer::ok(&view))
        .ok_or_else(|| Problem::not_found("configuration of the channel", channel))
}
