//! The samples of the documentation are run as they stand. Of a page, each block that begins with ```` ```sh test ````,
//! `python test` or `ts test` is run in the order of the page against a cloud of its own, in one folder; the blocks in shell
//! are one script, so that a later one has the functions and variables of those before. What a block prints must have the
//! lines of a `text output` block below it, in any order, where `...` stands for anything. A block that cannot be run says
//! why: `sh not-run: <reason>`. Needs bash, curl and python3; without node the samples in TypeScript are left out, loudly.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use carillon_tests::Dev;
use carillon_tests::load::carillon;

/// The pages whose samples are run.
const PAGES: &[&str] =
    &["docs/api.md", "docs/inbox.md", "docs/migrating.md", "docs/operations.md", "docs/quick-start.md"];

/// Pages that name tests as `file::function`.
const NAMING: &[&str] = &["docs/aws-fidelity.md", "docs/guarantees.md", "docs/security.md"];

/// A fenced block.
struct Block<'a> {
    /// The line on which it begins.
    line: usize,
    language: &'a str,
    /// What stands behind the language.
    how: &'a str,
    text: String,
}

impl Block<'_> {
    fn is_code(&self) -> bool {
        ["sh", "python", "ts"].contains(&self.language)
    }
}

/// How TypeScript is run: the ending that its file must have, and the program.
type Node = (&'static str, &'static str);

/// Runs the samples of one page.
struct Page {
    folder: PathBuf,
    /// How TypeScript is run; none when it cannot be.
    node: Option<Node>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let (mut found, mut open) = (Vec::new(), None::<Block<'_>>);
    for (at, line) in page.lines().enumerate() {
        let fence = line.strip_prefix("```");
        let Some(mut block) = open.take() else {
            open = fence.map(|fence| {
                let (language, how) = fence.split_once(' ').unwrap_or((fence, ""));
                Block { line: at + 1, language, how: how.trim(), text: String::new() }
            });
            continue;
        };
        if fence == Some("") {
            found.push(block);
        } else {
            writeln!(block.text, "{line}").unwrap();
            open = Some(block);
        }
    }
    assert!(open.is_none(), "a block does not end");
    found
}

/// From Node.js 22 on the types of TypeScript are taken off; before, what is also JavaScript is run as that.
fn node() -> Option<Node> {
    let told = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(told.stdout).ok()?;
    let major: u32 = version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()?;
    match major {
        22.. => Some(("mts", "node --no-warnings --experimental-strip-types")),
        18.. => Some(("mjs", "node")),
        _ => None,
    }
}

impl Page {
    fn of(path: &str) -> Self {
        let name = format!("carillon-{}-{}", path.replace(['/', '.'], "-"), std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, node: node() }
    }

    /// The command that runs a block which is not in shell; none when it is left out.
    fn command(&self, block: &Block<'_>) -> Option<String> {
        let (ending, program) = match (block.language, self.node) {
            ("python", _) => ("py", "python3"),
            ("ts", Some(node)) => node,
            _ => return None,
        };
        let file = format!("sample-{}.{ending}", block.line);
        std::fs::write(self.folder.join(&file), &block.text).unwrap();
        Some(format!("{program} {file}"))
    }

    /// One script of everything that is run. Each block leaves what it printed in a file of its own.
    fn script(&self, blocks: &[Block<'_>]) -> String {
        let mut script = "set -euo pipefail\n".to_owned();
        for block in blocks.iter().filter(|block| block.is_code() && block.how == "test") {
            let Block { line, language, text, .. } = block;
            let run = if *language == "sh" { Some(text.clone()) } else { self.command(block) };
            match run {
                Some(run) => writeln!(script, "echo {line} > at\n{{\n{run}\n}} > out-{line} 2>&1").unwrap(),
                None => eprintln!("line {line}: skipped, because there is no Node.js 18 or later"),
            }
        }
        script
    }

    async fn run(&self, dev: &Dev, script: String) -> Output {
        let ready = dev.cloud.ready();
        let beside = carillon().parent().unwrap().display().to_string();
        let path = format!("{beside}:{}", std::env::var("PATH").unwrap());
        std::fs::write(self.folder.join("page.sh"), script).unwrap();
        let mut bash = Command::new("bash");
        bash.arg("page.sh").current_dir(&self.folder).env("PATH", path);
        bash.env("CARILLON_URL", &ready.url).env("CARILLON_API_KEY", &ready.admin_key);
        bash.env("CARILLON_PACKS", root().join("templates"));
        tokio::task::spawn_blocking(move || bash.output().expect("bash is there")).await.unwrap()
    }

    fn printed(&self, line: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("out-{}", line.trim()))).unwrap_or_default()
    }
}

/// Runs everything that a page says can be run, and compares what it prints.
async fn hold(path: &str) {
    let text = read(path);
    let (blocks, page, dev) = (blocks(&text), Page::of(path), Dev::start().await);
    let ran = page.run(&dev, page.script(&blocks)).await;
    if !ran.status.success() {
        let at = std::fs::read_to_string(page.folder.join("at")).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&ran.stderr).into_owned();
        panic!("{path}:{}: failed: {complaint}\n{}", at.trim(), page.printed(&at));
    }
    for pair in blocks.windows(2) {
        let [sample, output] = pair else { continue };
        let was_run = page.folder.join(format!("out-{}", sample.line)).exists();
        if (output.language, output.how) == ("text", "output") && was_run {
            let printed = page.printed(&sample.line.to_string());
            let missing = missing(&output.text, &printed);
            assert_eq!(
                missing,
                Vec::<&str>::new(),
                "{path}:{}, of what was printed:\n{printed}",
                output.line
            );
        }
    }
    std::fs::remove_dir_all(&page.folder).unwrap();
}

/// The wanted lines that were not printed; a printed line stands for one of them.
fn missing<'a>(wanted: &'a str, printed: &str) -> Vec<&'a str> {
    let mut left: Vec<String> = printed.lines().map(spaced).collect();
    let mut missing = Vec::new();
    for line in wanted.lines().filter(|line| !line.trim().is_empty()) {
        match left.iter().position(|got| fits(&spaced(line), got)) {
            Some(at) => drop(left.swap_remove(at)),
            None => missing.push(line),
        }
    }
    missing
}

/// A line whose words stand one space apart, because the width of a column depends on ids. What is `sent` will be
/// `delivered` when its receipt is there, a moment sooner or later.
fn spaced(line: &str) -> String {
    let words = line.split_whitespace().map(|word| if word == "sent" { "delivered" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether the line has the pieces between `...` in their order.
fn fits(wanted: &str, line: &str) -> bool {
    let mut rest = line;
    wanted.split("...").all(|piece| {
        let found = rest.split_once(piece.trim());
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

/// E28: the calls in curl, and those of a producer in Python and TypeScript.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_the_api_run() {
    hold("docs/api.md").await;
}

/// E28: the feed in an app.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_the_feed_run() {
    hold("docs/inbox.md").await;
}

/// H54: from each of the old systems, and an export of Amazon Pinpoint.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_migrating_run() {
    hold("docs/migrating.md").await;
}

/// H54, I27, I28, R31: each day, the stop, the rollback, the steps of a rollout, and a diagnosis as it is printed.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_operations_run() {
    hold("docs/operations.md").await;
}

/// H54: what needs no account.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_the_quick_start_run() {
    hold("docs/quick-start.md").await;
}

#[test]
fn every_sample_is_run_or_says_why_not() {
    for path in PAGES {
        let text = read(path);
        for block in blocks(&text).iter().filter(|block| block.is_code()) {
            let said =
                block.how == "test" || block.how.strip_prefix("not-run: ").is_some_and(|why| !why.is_empty());
            assert!(said, "{path}:{}: write `test`, or `not-run: <reason>`", block.line);
        }
    }
}

#[test]
fn every_alarm_of_the_template_is_explained() {
    let (template, page) = (read("template.yaml"), read("docs/operations.md"));
    let names = template.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix("Alarm:"));
    for name in names.filter(|name| !name.starts_with(' ')) {
        assert!(page.contains(&format!("`{name}Alarm`")), "docs/operations.md does not explain {name}Alarm");
    }
}

#[test]
fn every_test_that_a_page_names_is_there() {
    for path in NAMING {
        let page = read(path);
        let quoted = page.split('`').skip(1).step_by(2);
        for (file, name) in quoted.filter_map(|text| text.split_once(".rs::")) {
            let source = read(&format!("{file}.rs"));
            let there =
                [format!("fn {name}("), format!(" {name}:")].iter().any(|named| source.contains(named));
            assert!(there, "{path} names {file}.rs::{name}, which is not there");
        }
    }
}

#[test]
fn a_wanted_line_is_found_by_its_pieces_and_once() {
    let printed = "ID        NAME\nab12      one\ncd34      one\n";
    assert_eq!(missing("ID NAME\n... one\n... one\n", printed), Vec::<&str>::new());
    assert_eq!(missing("... two\n... one\n... one\n... one\n", printed), ["... two", "... one"]);
    assert!(fits("id ..., test key of ...", "id x7, test key of the tenant"));
    assert!(!fits("b ... a", "a b"));
}
