//! From configuration to a pipeline: the AWS adapters of a function, put together once at its start.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use carillon_domain::ids::HashKey;
use carillon_pipeline::Pipeline;
use carillon_pipeline::bootstrap::HASH_KEY;
use carillon_pipeline::context::Remembered;
use carillon_pipeline::pace::Pace;
use carillon_pipeline::ports::{Clock, Entropy, NoSchedules, Queue, Renderer, Secrets, StoreError};

use crate::{DynamoTable, SqsQueues, SsmSecrets};

/// Where a deployment keeps its things.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The table's name.
    pub table: String,
    /// What the names of its secrets begin with.
    pub secrets_prefix: String,
    /// The URLs of the queues that this function sends to.
    pub queue_urls: BTreeMap<Queue, String>,
    /// Where people reach the function inbox, for the links in messages.
    pub public_url: String,
}

impl Deployment {
    /// Reads where a deployment keeps its things. `variable` reads an environment variable, given its name and what it is
    /// for; `queues` are those that a function sends to, each with its variable and what goes there.
    ///
    /// # Errors
    /// What `variable` says of one that is missing.
    pub fn read<E>(
        variable: impl Fn(&'static str, &'static str) -> Result<String, E>,
        queues: &[(Queue, &'static str, &'static str)],
    ) -> Result<Self, E> {
        let mut queue_urls = BTreeMap::new();
        for (queue, name, purpose) in queues {
            queue_urls.insert(*queue, variable(name, purpose)?);
        }
        Ok(Self {
            table: variable("CARILLON_TABLE", "the name of the DynamoDB table")?,
            secrets_prefix: variable(
                "CARILLON_SECRETS_PREFIX",
                "what the names of the SSM parameters begin with",
            )?,
            queue_urls,
            public_url: variable("CARILLON_PUBLIC_URL", "where the links in messages lead")?,
        })
    }
}

/// What does not come from AWS.
pub struct Local {
    /// Templates to messages.
    pub renderer: Arc<dyn Renderer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The secret store did not answer.
    #[error("the secret {HASH_KEY} could not be read")]
    Secret(#[source] StoreError),
    /// The deployment was never bootstrapped.
    #[error("the deployment has no secret {HASH_KEY}; run `carillon bootstrap` first")]
    NotBootstrapped,
}

/// The pipeline of a function. Reads one secret: the key of the keyed hashes.
///
/// # Errors
/// When that secret cannot be read or does not exist yet.
pub async fn pipeline(
    config: &SdkConfig,
    deployment: Deployment,
    local: Local,
) -> Result<Pipeline, ConnectError> {
    let secrets = SsmSecrets::new(aws_sdk_ssm::Client::new(config), deployment.secrets_prefix);
    let values = secrets.get(HASH_KEY).await.map_err(ConnectError::Secret)?;
    let hash_key = values.first().ok_or(ConnectError::NotBootstrapped)?;
    Ok(Pipeline {
        table: Arc::new(DynamoTable::new(aws_sdk_dynamodb::Client::new(config), deployment.table)),
        queues: Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(config), deployment.queue_urls)),
        hash_key: HashKey::from_bytes(hash_key.as_bytes()),
        secrets: Arc::new(secrets),
        renderer: local.renderer,
        clock: local.clock,
        entropy: local.entropy,
        leases_void_before: None,
        pace: Pace::Off,
        schedules: Arc::new(NoSchedules),
        public_url: Some(deployment.public_url),
        remembered: Remembered::default(),
    })
}
