//! The one configuration that every AWS client of a process is made from: `aws_sdk_dynamodb::Client::new(&config)`,
//! and the same for SQS, SSM and SES. Made once, at start.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

/// A cold TLS handshake in a small function takes hundreds of milliseconds; what takes longer is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The SDK itself would wait for ever. Three attempts of this length still fit into a function's own time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// What Lambda's environment, or a developer's, says: region, credentials and `AWS_ENDPOINT_URL`.
pub async fn from_environment() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts()).load().await
}

/// A stand-in for AWS at this address, such as `http://127.0.0.1:8000`. Reads nothing from the environment, so that no
/// call can reach a real account; the credentials are fixed and open nothing.
#[must_use]
pub fn at_endpoint(url: &str) -> SdkConfig {
    let nobody = Credentials::new("test", "test", None, None, "stand-in");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .endpoint_url(url)
        .timeout_config(timeouts())
        .build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}
