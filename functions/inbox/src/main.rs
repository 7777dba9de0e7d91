//! The Lambda binary of inbox: configuration, adapters, run.

use std::sync::Arc;

use carillon_aws::{clients, connect};
use carillon_channels::MinijinjaRenderer;
use carillon_runtime::{SystemClock, SystemEntropy, http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let local = connect::Local {
        renderer: Arc::new(MinijinjaRenderer::new()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let config = clients::from_environment().await;
    let pipeline = connect::pipeline(&config, inbox::config::deployment()?, local).await?;
    http::run(http::Service::new(Arc::new(pipeline), inbox::CALLS)?).await
}
