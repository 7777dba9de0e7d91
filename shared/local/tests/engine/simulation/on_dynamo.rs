//! The same seeds on the DynamoDB adapter over the embedded engine: every step is the same as on the model.

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use carillon_aws::{DynamoTable, clients, ensure_table};
use carillon_local::simulation::{Options, Player};

/// Plays these seeds on both.
async fn plays_alike(seeds: Range<u64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    let client = Client::new(&clients::at_endpoint(&url));
    let player = Player::make().unwrap();
    for seed in seeds {
        let name = format!("seed-{seed}");
        ensure_table(&client, &name).await.unwrap();
        let table = Arc::new(DynamoTable::new(client.clone(), &name));
        let on_dynamo = player.play_on(table, seed, Options::default()).await.unwrap();
        let on_model = player.play(seed, Options::default());
        assert_eq!(on_dynamo.breach, None, "seed {seed}");
        assert_eq!(on_dynamo.fingerprint, on_model.fingerprint, "seed {seed} plays differently on the model");
    }
}

// Fifty seeds, in parts that run side by side.
macro_rules! parts {
    ($($name:ident: $seeds:expr;)+) => { $(#[tokio::test] async fn $name() { plays_alike($seeds).await; })+ };
}

parts! {
    seeds_0_to_9_play_alike: 0..10;
    seeds_10_to_19_play_alike: 10..20;
    seeds_20_to_29_play_alike: 20..30;
    seeds_30_to_39_play_alike: 30..40;
    seeds_40_to_49_play_alike: 40..50;
}
