//! A provider of a test's own, in place of the built-in fakes: it answers what the test says, remembers what it was
//! asked, and can be made to wait.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

/// What a stand-in was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path that was posted to.
    pub path: String,
    /// The JSON that was posted.
    pub body: Value,
}

type Answer = dyn Fn(&Asked, usize) -> (u16, Value) + Send + Sync;

#[derive(Clone)]
struct Script {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<Asked>>>,
    gate: Arc<RwLock<()>>,
}

/// A provider on 127.0.0.1.
pub struct StandIn {
    /// Its base URL.
    pub url: String,
    script: Script,
}

impl StandIn {
    /// Starts one. `answer` gets each request and its number, from 1.
    pub async fn start(answer: impl Fn(&Asked, usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let script = Script { answer: Arc::new(answer), asked: Arc::default(), gate: Arc::default() };
        let app = Router::new().fallback(handle).with_state(script.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, script }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().expect("no answer panicked").clone()
    }

    /// Keeps its answers back until the guard is dropped.
    pub async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.script.gate).write_owned().await
    }
}

async fn handle(State(script): State<Script>, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let asked = Asked { path: uri.path().to_owned(), body };
    let number = {
        let mut all = script.asked.lock().expect("no answer panicked");
        all.push(asked.clone());
        all.len()
    };
    let _open = script.gate.read().await;
    let (status, answer) = (script.answer)(&asked, number);
    (StatusCode::from_u16(status).expect("a status"), answer.to_string())
}

/// Meta's answer to a message that it takes.
#[must_use]
pub fn taken(number: usize) -> (u16, Value) {
    (200, json!({"messaging_product": "whatsapp", "messages": [{"id": format!("wamid.{number}")}]}))
}

/// Meta's answer to a message that it refuses.
#[must_use]
pub fn refused(status: u16, code: u32, message: &str) -> (u16, Value) {
    (
        status,
        json!({"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "Az"}}),
    )
}
