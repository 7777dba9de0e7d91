//! Reading the files of a pack: each into its type, with every fault noted and reading going on, so that one run shows
//! all of them.

use std::io;
use std::path::{Path, PathBuf};

use carillon_domain::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::PackFault;
use super::places::Places;

/// The largest file of a pack: a template is far smaller, and what is not text should not be read at all.
const LARGEST: u64 = 1_048_576;

/// Reads files and keeps what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) faults: Vec<PackFault>,
}

impl Reading {
    /// A TOML file as JSON.
    pub(super) fn toml(&mut self, file: &Path) -> Option<(Places, Value)> {
        let text = self.text(file)?;
        self.kept(Places::read(file, &text))
    }

    /// A TOML file as its type; unknown fields are faults.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, file: &Path) -> Option<(Places, T)> {
        let (places, value) = self.toml(file)?;
        let typed = self.parsed(&places, "", value)?;
        Some((places, typed))
    }

    /// A value of a file as its type.
    pub(super) fn parsed<T: DeserializeOwned>(
        &mut self,
        places: &Places,
        at: &str,
        value: Value,
    ) -> Option<T> {
        match carillon_domain::parse::from_value(value) {
            Ok(typed) => Some(typed),
            Err(faults) => {
                self.note(places, at, faults);
                None
            }
        }
    }

    /// Notes faults below a pointer of a file.
    pub(super) fn note(&mut self, places: &Places, at: &str, faults: Vec<FieldError>) {
        self.faults.extend(faults.into_iter().map(|fault| places.fault(fault.under(at))));
    }

    /// Notes what is wrong with a file or folder as a whole.
    pub(super) fn note_file(&mut self, file: &Path, detail: impl Into<String>) {
        self.faults.push(PackFault { file: file.to_owned(), line: None, detail: detail.into() });
    }

    /// The text of a file.
    pub(super) fn text(&mut self, file: &Path) -> Option<String> {
        self.kept(text(file))
    }

    /// What is in a folder, by name; a folder that is not there is empty.
    pub(super) fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        if !folder.exists() {
            return Vec::new();
        }
        self.kept(entries(folder)).unwrap_or_default()
    }

    fn kept<T>(&mut self, read: Result<T, PackFault>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }
}

fn text(file: &Path) -> Result<String, PackFault> {
    let fault = |detail: String| PackFault { file: file.to_owned(), line: None, detail };
    let size = std::fs::metadata(file).map_err(|error| fault(why(&error)))?.len();
    if size > LARGEST {
        return Err(fault(format!("has {size} bytes; a file of a pack has at most {LARGEST}")));
    }
    std::fs::read_to_string(file).map_err(|error| fault(why(&error)))
}

/// What is in a folder, by name, without hidden files.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, PackFault> {
    let fault = |error: io::Error| PackFault { file: folder.to_owned(), line: None, detail: why(&error) };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if !named(&path).starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The last part of a path, as text.
pub(super) fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
