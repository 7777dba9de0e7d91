//! The real `carillon` binary against a test's own cloud: what it prints, and its exit code. The tests of commands and of
//! packs use it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Dev;
use crate::load::carillon;

/// What a command printed, and its exit code.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub text: String,
    /// Standard error.
    pub complaint: String,
}

impl Ran {
    /// The last line of standard output.
    #[must_use]
    pub fn last_line(&self) -> &str {
        self.text.lines().last().unwrap_or_default()
    }
}

/// Runs a command with a key, with something on its standard input. Packs are found in the checkout.
pub async fn run_with(dev: &Dev, key: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(carillon());
    command.args(arguments).args(["--url", &dev.cloud.ready().url, "--key", key]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("CARILLON_PACKS", concat!(env!("CARGO_MANIFEST_DIR"), "/../templates"));
    let input = input.to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that does not read has gone away already.
        if let Err(error) = stdin.write_all(input.as_bytes()) {
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{error}");
        }
        drop(stdin);
        child.wait_with_output().expect("the command ends")
    });
    let output = ended.await.expect("the command was waited for");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), text: text(output.stdout), complaint: text(output.stderr) }
}

/// Runs a command with every scope.
pub async fn run(dev: &Dev, arguments: &[&str]) -> Ran {
    run_with(dev, &dev.cloud.ready().admin_key, arguments, "").await
}

/// Runs a command with `--json`. Answers its exit code and its one document.
pub async fn run_json(dev: &Dev, arguments: &[&str]) -> (Option<i32>, Value) {
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    let ran = run(dev, &arguments).await;
    let document = serde_json::from_str(&ran.text);
    (ran.code, document.unwrap_or_else(|_| panic!("one JSON document: {ran:?}")))
}

impl Dev {
    /// Applies a pack of the checkout with `carillon apply` and imports people, each with the `groups` they are in, with
    /// `carillon recipients import`.
    pub async fn with_pack(&self, pack: &str, people: &[Value]) {
        let applied = run(self, &["apply", pack]).await;
        assert_eq!(applied.code, Some(0), "{applied:?}");
        let line = |person: &Value| {
            let mut line = person.clone();
            if let Some(fields) = line.as_object_mut() {
                fields.remove("groups");
            }
            line.to_string()
        };
        let lines = people.iter().map(line).collect::<Vec<_>>().join("\n");
        let key = self.cloud.ready().admin_key.clone();
        let imported = run_with(self, &key, &["recipients", "import", "-"], &lines).await;
        assert_eq!(imported.code, Some(0), "{imported:?}");
        for person in people {
            let id = person["id"].as_str().unwrap_or_default();
            for group in person["groups"].as_array().into_iter().flatten() {
                let group = group.as_str().unwrap_or_default().replace(' ', "%20");
                let path = format!("/v1/groups/{group}/members");
                let added = self.admin.post(&path, &serde_json::json!({"add": [id]})).await;
                assert_eq!(added.status, 200, "{group}: {added:?}");
            }
        }
    }
}
