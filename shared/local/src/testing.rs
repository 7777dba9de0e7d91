//! What the tests of this crate share: clocks, random bits, a folder that goes away, and a server on a free port.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use carillon_domain::Timestamp;
use carillon_pipeline::ports::{Clock, Entropy};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A clock that moves when it is told to.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(text.parse::<Timestamp>().unwrap().as_millisecond())))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Bytes that never repeat within a test run; not random at all.
pub struct Counting;

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let count = COUNTER.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = count[at % count.len()];
        }
    }
}

/// A folder of its own for a test; removed with everything in it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn make() -> Self {
        let number = COUNTER.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("carillon-local-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What a kill of the process would leave of an open SQLite file: copied as it is, nothing closed or flushed.
    pub fn as_killed(&self, name: &str) -> PathBuf {
        let copy = self.path(&format!("killed-{name}"));
        for suffix in ["", "-wal"] {
            let (from, to) = (self.path(&format!("{name}{suffix}")), format!("{}{suffix}", copy.display()));
            std::fs::copy(from, to).unwrap();
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// The project's HTTP client.
pub fn client() -> reqwest::Client {
    carillon_runtime::outbound::client().unwrap()
}

/// Serves the router on a free port until the test's runtime ends; answers its base URL.
pub async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Waits until the condition holds, or fails after a minute: the machine may be compiling at the same time.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited a minute in vain: {what}");
}
