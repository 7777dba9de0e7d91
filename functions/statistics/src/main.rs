//! The Lambda binary of statistics: configuration, adapters, run.

use carillon_aws::{DynamoTable, clients};
use carillon_pipeline::ports::Clock as _;
use carillon_runtime::{SystemClock, telemetry};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let config = clients::from_environment().await;
    let table = &DynamoTable::new(aws_sdk_dynamodb::Client::new(&config), statistics::config::table()?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let counted = statistics::handle(table, &event.payload, SystemClock.now()).await;
        counted.map_err(lambda_runtime::Error::from)
    }))
    .await
}
