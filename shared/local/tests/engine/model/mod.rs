//! The in-memory model against the DynamoDB adapter on the embedded engine: the same operations, the same answers.
//! Histories are made from a seed; `CARILLON_SEED=<n>` plays one of them alone.

mod edges;
mod history;
mod metered;

use aws_sdk_dynamodb::Client;
use carillon_aws::{DynamoTable, clients, ensure_table};
use carillon_local::model::ModelTable;
use carillon_pipeline::ports::{Item, Key, Page, Query, StoreError, Table, TransactError};

use history::{Act, History};

const HISTORIES: u64 = 30;
const STEPS: usize = 60;

/// An answer as both must give it: the text of an error is the implementation's own.
#[derive(Debug, PartialEq)]
enum Answered<T> {
    Done(T),
    /// Which write of a transaction it was, and what was found.
    Conflict(usize, Option<Item>),
    BadCursor,
    Refused,
    Unavailable,
}

impl<T> From<Result<T, StoreError>> for Answered<T> {
    fn from(answer: Result<T, StoreError>) -> Self {
        match answer {
            Ok(done) => Self::Done(done),
            Err(StoreError::Conflict(found)) => Self::Conflict(0, found),
            Err(StoreError::Refused(_)) => Self::Refused,
            Err(StoreError::BadCursor) => Self::BadCursor,
            Err(StoreError::Unavailable(_)) => Self::Unavailable,
        }
    }
}

impl<T> From<Result<T, TransactError>> for Answered<T> {
    fn from(answer: Result<T, TransactError>) -> Self {
        match answer {
            Ok(done) => Self::Done(done),
            Err(TransactError::Conflict { at, found }) => Self::Conflict(at, found),
            Err(TransactError::Store(error)) => Err(error).into(),
        }
    }
}

/// A page as it is seen: whether there may be more, and not in whose words.
type Seen = (Vec<(Key, Item)>, bool);

/// One answer of any operation.
#[derive(Debug, PartialEq)]
enum Answer {
    Item(Answered<Option<Item>>),
    Items(Answered<Vec<Option<Item>>>),
    Written(Vec<Answered<Item>>),
    Transacted(Answered<()>),
    Pages(Vec<Answered<Seen>>),
}

impl Answer {
    fn is_bad_cursor(&self) -> bool {
        matches!(self, Self::Pages(answers) if answers.contains(&Answered::BadCursor))
    }

    fn is_refusal(&self) -> bool {
        match self {
            Self::Item(answer) => *answer == Answered::Refused,
            Self::Items(answer) => *answer == Answered::Refused,
            Self::Written(answers) => answers.contains(&Answered::Refused),
            Self::Transacted(answer) => *answer == Answered::Refused,
            Self::Pages(answers) => answers.contains(&Answered::Refused),
        }
    }
}

async fn play(table: &dyn Table, act: &Act) -> Answer {
    match act {
        Act::Get(key) => Answer::Item(table.get(key).await.into()),
        Act::GetMany(keys) => Answer::Items(table.get_many(keys).await.into()),
        Act::Write(write) => Answer::Written(vec![table.write(write.clone()).await.into()]),
        Act::WriteEach(writes) => {
            let answers = table.write_each(writes.clone()).await;
            Answer::Written(answers.into_iter().map(Answered::from).collect())
        }
        Act::Transact(writes) => Answer::Transacted(table.transact(writes.clone()).await.into()),
        Act::Query(query) => Answer::Pages(pages(table, query.clone()).await),
    }
}

/// Every page of a query from its cursor on; each implementation follows its own.
async fn pages(table: &dyn Table, mut query: Query) -> Vec<Answered<Seen>> {
    let mut pages = Vec::new();
    loop {
        let answer = table.query(&query).await;
        query.after = answer.as_ref().ok().and_then(|page| page.next.clone());
        let seen = |Page { items, next }| (items, next.is_some());
        pages.push(Answered::from(answer.map(seen)));
        if query.after.is_none() {
            return pages;
        }
    }
}

/// The embedded engine, in memory, on a port of its own.
async fn engine() -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    Client::new(&clients::at_endpoint(&url))
}

async fn adapter(client: &Client, name: &str) -> DynamoTable {
    ensure_table(client, name).await.unwrap();
    DynamoTable::new(client.clone(), name)
}

async fn both_answer_alike(seed: u64, client: &Client) {
    let (model, dynamo) = (ModelTable::new(), adapter(client, &format!("history-{seed}")).await);
    let mut history = History::from_seed(seed);
    let asked_at_the_end = history::every_partition();
    let acts: Vec<Act> = (0..STEPS).map(|_| history.act()).chain(asked_at_the_end).collect();
    for (step, act) in acts.iter().enumerate() {
        let (modelled, real) = (play(&model, act).await, play(&dynamo, act).await);
        assert_eq!(modelled, real, "the model (left) differs: CARILLON_SEED={seed}, step {step}: {act:?}");
    }
}

#[tokio::test]
async fn random_histories_have_the_same_answers() {
    let client = engine().await;
    let seeds = match std::env::var("CARILLON_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("CARILLON_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..HISTORIES,
    };
    for seed in seeds {
        both_answer_alike(seed, &client).await;
    }
}
