//! The Lambda binary of sweep-cleanup: configuration, adapters, run.

use std::sync::Arc;

use carillon_aws::{clients, connect};
use carillon_channels::MinijinjaRenderer;
use carillon_runtime::{SystemClock, SystemEntropy, telemetry};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let local = connect::Local {
        renderer: Arc::new(MinijinjaRenderer::new()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let config = clients::from_environment().await;
    let pipeline = &connect::pipeline(&config, sweep_cleanup::config::deployment()?, local).await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        sweep_cleanup::handle(pipeline, event.payload).await.map_err(lambda_runtime::Error::from)
    }))
    .await
}
