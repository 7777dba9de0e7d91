//! The embedded DynamoDB: served on a loopback port, so that the real adapter and the real SDK are what runs.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use carillon_aws::{DynamoTable, clients, ensure_table};
use carillon_pipeline::ports::Table;
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Doing, StartError};

/// The table's name in the embedded engine.
const TABLE: &str = "carillon";

/// A running engine with its table.
pub(super) struct Store {
    client: Client,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
}

impl Store {
    /// Starts the engine on a file of the folder, or in memory.
    pub(super) async fn start(folder: Option<&Path>) -> Result<Self, StartError> {
        let database = match folder {
            Some(folder) => Database::new(&folder.join("table.db").to_string_lossy()),
            None => Database::memory(),
        };
        let database = database.map_err(|error| error.to_string()).doing("opening the embedded table")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.doing("listening for the embedded table")?;
        let address = listener.local_addr().doing("reading the embedded table's address")?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async move {
            // Either told to stop, or whoever would tell is gone.
            stopped.await.unwrap_or(());
        }));
        let client = Client::new(&clients::at_endpoint(&format!("http://{address}")));
        ensure_table(&client, TABLE).await.doing("making the table")?;
        Ok(Self { client, stop, server })
    }

    /// The table.
    pub(super) fn table(&self) -> Arc<dyn Table> {
        Arc::new(DynamoTable::new(self.client.clone(), TABLE))
    }

    /// Stops the engine when its last request is answered.
    pub(super) async fn stop(self) {
        drop(self.client);
        if self.stop.send(()).is_ok() {
            let stopped = tokio::time::timeout(std::time::Duration::from_secs(2), self.server).await;
            if !matches!(stopped, Ok(Ok(Ok(())))) {
                // Kept connections can hold it open; everything written is on the disk already.
                tracing::debug!("the embedded table did not stop by itself");
            }
        }
    }
}
