//! Reads the checkout: its packages as cargo sees them, and its sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folders with Rust in them.
pub const CODE: &[&str] = &["cli", "functions", "shared", "tests", "xtask"];

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A file of the checkout.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path} could not be read: {error}"))
}

/// The folders in a folder, sorted.
pub fn folders(path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(path)).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A crate of the workspace.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, from the root.
    pub folder: String,
    /// Its binaries.
    pub binaries: Vec<String>,
    /// The crates it names, for whatever purpose.
    pub dependencies: Vec<String>,
}

/// Every crate of the workspace.
pub fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let done = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let metadata: Value = serde_json::from_slice(&done.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn package(package: &Value) -> Package {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let folder = manifest.parent().unwrap().strip_prefix(root().canonicalize().unwrap()).unwrap();
    let text = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let is_binary = |target: &&Value| target["kind"].as_array().unwrap().contains(&"bin".into());
    Package {
        name: text(package),
        folder: folder.to_str().unwrap().to_owned(),
        binaries: package["targets"].as_array().unwrap().iter().filter(is_binary).map(text).collect(),
        dependencies: package["dependencies"].as_array().unwrap().iter().map(text).collect(),
    }
}

/// A Rust file.
pub struct Source {
    /// Where it is, from the root.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// Everything before its test module.
    pub fn outside_tests(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
    }

    /// What is compiled into a binary: nothing for a file of tests; without comments that have a line of their own.
    pub fn code(&self) -> impl Iterator<Item = &str> {
        let is_test = self.path.split(['/', '_']).any(|part| part == "tests" || part == "tests.rs");
        let lines = if is_test { "" } else { self.outside_tests() }.lines();
        lines.filter(|line| !line.trim_start().starts_with("//"))
    }
}

/// Every Rust file below a folder.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root().join(folder), &mut sources);
    assert!(!sources.is_empty(), "there is no Rust in {folder}");
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path, text });
        }
    }
}
