//! The same seeds on the DynamoDB adapter over the embedded engine: every step is the same as on the model.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use carillon_aws::{DynamoTable, clients, ensure_table};
use carillon_local::simulation::{Options, Player};

const SEEDS: u64 = 50;

#[tokio::test]
async fn fifty_seeds_play_alike_on_the_adapter() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    let client = Client::new(&clients::at_endpoint(&url));
    let player = Player::make().unwrap();
    for seed in 0..SEEDS {
        let name = format!("seed-{seed}");
        ensure_table(&client, &name).await.unwrap();
        let table = Arc::new(DynamoTable::new(client.clone(), &name));
        let on_dynamo = player.play_on(table, seed, Options::default()).await.unwrap();
        let on_model = player.play(seed, Options::default());
        assert_eq!(on_dynamo.breach, None, "seed {seed}");
        assert_eq!(on_dynamo.fingerprint, on_model.fingerprint, "seed {seed} plays differently on the model");
    }
}
