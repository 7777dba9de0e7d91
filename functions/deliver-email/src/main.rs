//! The Lambda binary of deliver-email: configuration, adapters, run.

use std::sync::Arc;

use carillon_aws::{clients, connect};
use carillon_channels::{MinijinjaRenderer, SesProvider};
use carillon_pipeline::Pipeline;
use carillon_runtime::{SystemClock, SystemEntropy, environment, telemetry};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let local = connect::Local {
        renderer: Arc::new(MinijinjaRenderer::new()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let config = clients::from_environment().await;
    let pipeline = connect::pipeline(&config, deliver_email::config::deployment()?, local).await?;
    let pipeline = &Pipeline { pace: environment::pace()?, ..pipeline };
    let ses =
        carillon_channels::email::provider::ses_client(&config, deliver_email::config::ses_url().as_deref());
    let provider = &SesProvider::new(ses).linking_to(pipeline.public_url.clone());
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| async move {
        Ok::<_, lambda_runtime::Error>(deliver_email::handle(pipeline, provider, event.payload).await)
    }))
    .await
}
