//! The Lambda binary of operate: configuration, adapters, run.

use std::sync::Arc;

use carillon_aws::{EventBridgeSchedules, ScheduleGroup, clients, connect};
use carillon_channels::MinijinjaRenderer;
use carillon_pipeline::Pipeline;
use carillon_runtime::{SystemClock, SystemEntropy, environment, http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let local = connect::Local {
        renderer: Arc::new(MinijinjaRenderer::new()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let config = clients::from_environment().await;
    let pipeline = connect::pipeline(&config, operate::config::deployment()?, local).await?;
    let group = ScheduleGroup::read(environment::required)?;
    let schedules = Arc::new(EventBridgeSchedules::from_config(&config, group));
    let pipeline = Pipeline { pace: environment::pace()?, schedules, ..pipeline };
    http::run(http::Service::new(Arc::new(pipeline), operate::CALLS)?).await
}
