//! The secret store of `carillon dev`: one JSON file that only its owner may read, replaced whole at each change.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use carillon_pipeline::ports::{SecretValues, Secrets, StoreError};

/// Secrets by name, in a file or, for an ephemeral cloud, in memory.
pub struct LocalSecrets {
    file: Option<PathBuf>,
    values: Mutex<BTreeMap<String, SecretValues>>,
}

impl LocalSecrets {
    /// Secrets that are gone with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { file: None, values: Mutex::default() }
    }

    /// Secrets in a file; it is made with the first secret.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(file: PathBuf) -> std::io::Result<Self> {
        let values = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::other)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { file: Some(file), values: Mutex::new(values) })
    }
}

#[async_trait]
impl Secrets for LocalSecrets {
    async fn get(&self, name: &str) -> Result<SecretValues, StoreError> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(values.get(name).cloned().unwrap_or_default())
    }

    async fn put(&self, name: &str, new: &[String]) -> Result<(), StoreError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(name.to_owned(), new.to_vec());
        let Some(file) = &self.file else { return Ok(()) };
        let text = serde_json::to_vec_pretty(&*values).map_err(|e| StoreError::Refused(e.to_string()))?;
        write_private(file, &text).map_err(|e| StoreError::Unavailable(e.to_string()))
    }
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = file.with_extension("draft");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(&draft)?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    fs::rename(draft, file)
}
