//! What a function remembers between invocations: configuration, for a short and stated time. Only what was found is
//! kept, so a route that was just put is seen at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use carillon_domain::Timestamp;

/// Found values by key, each for a time to live.
pub struct Cache<K, V> {
    ttl_ms: i64,
    entries: Mutex<HashMap<K, (i64, Arc<V>)>>,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// Above this the expired entries are thrown out, so that many tenants cannot fill the memory.
    const SWEEP_ABOVE: usize = 10_000;

    /// An empty cache whose entries live this long.
    #[must_use]
    pub fn new(ttl_ms: i64) -> Self {
        Self { ttl_ms, entries: Mutex::new(HashMap::new()) }
    }

    /// The value, if it was found less than the time to live ago.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<Arc<V>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = entries.get(key)?;
        (now.as_millisecond() - at < self.ttl_ms).then(|| Arc::clone(value))
    }

    /// Remembers a value that was found now.
    pub fn put(&self, key: K, value: V, now: Timestamp) -> Arc<V> {
        let value = Arc::new(value);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= Self::SWEEP_ABOVE {
            let oldest = now.as_millisecond() - self.ttl_ms;
            entries.retain(|_, (at, _)| *at > oldest);
        }
        entries.insert(key, (now.as_millisecond(), Arc::clone(&value)));
        value
    }

    /// Forgets a value, after it was changed here.
    pub fn forget(&self, key: &K) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
