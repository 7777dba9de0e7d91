//! Stand-ins for a provider on 127.0.0.1: one that answers with what a test says and remembers what it was asked, and
//! one that reads the request and hangs up or keeps silent.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a stand-in was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A provider that answers.
pub struct Answering {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Answering {
    /// Answers everything with this status, these headers and this body.
    pub async fn with(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = (StatusCode::from_u16(status).unwrap(), headers.to_vec(), body.to_owned());
        let app = Router::new().fallback(handle).with_state((Arc::clone(&asked), answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

type Told = (Arc<Mutex<Vec<Asked>>>, (StatusCode, Vec<(&'static str, &'static str)>, String));

async fn handle(
    State((asked, (status, headers, answer))): State<Told>,
    uri: Uri,
    received: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    asked.lock().unwrap().push(Asked { path: uri.path().to_owned(), headers: received, body });
    let headers = headers.into_iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
    (status, headers, answer)
}

/// What a stand-in does after it has read the whole request.
#[derive(Clone, Copy)]
pub enum Then {
    /// Closes the connection without a word.
    HangUp,
    /// Promises more than it sends, and closes.
    BreakOff,
    /// Keeps the connection open and says nothing.
    KeepSilent,
}

/// A provider that takes a request and does not answer. Gives its URL and how many requests it has read.
pub async fn unhelpful(then: Then) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let mut part = [0; 4096];
                    match stream.read(&mut part).await {
                        Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
                        _ => return,
                    }
                }
                *counted.lock().unwrap() += 1;
                match then {
                    Then::HangUp => {}
                    Then::BreakOff => {
                        let start = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"messages\":[{\"id\":\"wamid.1\"}";
                        stream.write_all(start).await.unwrap();
                    }
                    Then::KeepSilent => std::future::pending().await,
                }
            });
        }
    });
    (url, requests)
}

/// Whether head and body of a request with a content length have come.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
    body.len() >= length.trim().parse::<usize>().unwrap()
}

/// A URL on which nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
