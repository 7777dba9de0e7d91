//! The Lambda binary of deliver-whatsapp: configuration, adapters, run.

use std::sync::Arc;

use carillon_aws::{clients, connect};
use carillon_channels::{MinijinjaRenderer, WhatsappProvider};
use carillon_pipeline::Pipeline;
use carillon_runtime::{SystemClock, SystemEntropy, environment, outbound, telemetry};
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
    let pipeline = connect::pipeline(&config, deliver_whatsapp::config::deployment()?, local).await?;
    let pipeline = &Pipeline { pace: environment::pace()?, ..pipeline };
    let provider = &WhatsappProvider::new(outbound::client()?, deliver_whatsapp::config::graph_url());
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| async move {
        Ok::<_, lambda_runtime::Error>(deliver_whatsapp::handle(pipeline, provider, event.payload).await)
    }))
    .await
}
