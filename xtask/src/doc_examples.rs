//! Looks for examples in documentation comments: rustdoc starts once for every library, which is a minute that is saved
//! while there are none.

use std::io;
use std::path::Path;

/// The folders of the libraries.
const LIBRARIES: &[&str] = &["functions", "shared"];

/// Whether a library has an example that rustdoc would run.
///
/// # Errors
/// When a source cannot be read.
pub fn any(root: &Path) -> io::Result<bool> {
    for folder in LIBRARIES {
        if any_below(&root.join(folder))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any_below(folder: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            any_below(&path)?
        } else {
            path.extension().is_some_and(|extension| extension == "rs")
                && is_in(&std::fs::read_to_string(&path)?)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a source has a code block that rustdoc takes for Rust and is not told to ignore.
fn is_in(source: &str) -> bool {
    let mut open = false;
    for line in source.lines().map(str::trim_start) {
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            open = false;
            continue;
        };
        let Some(fence) = text.trim_start().strip_prefix("```") else { continue };
        if !open && is_rust(fence) {
            return true;
        }
        open = !open;
    }
    false
}

fn is_rust(fence: &str) -> bool {
    let rust = |word: &str| {
        matches!(word, "rust" | "no_run" | "should_panic" | "compile_fail" | "standalone_crate")
            || word.starts_with("edition")
    };
    fence.split([',', ' ']).filter(|word| !word.is_empty()).all(rust)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_rustdoc_would_run_is_an_example() {
        assert!(is_in("/// Adds.\n///\n/// ```\n/// add(1, 2);\n/// ```\nfn add() {}"));
        assert!(is_in("//! ```rust,no_run\n//! run();\n//! ```"));
        assert!(is_in("/// ```text\n/// a\n/// ```\n/// ```\n/// b();\n/// ```"));
        assert!(!is_in("/// ```text\n/// GET /health\n/// ```"));
        assert!(!is_in("/// ```ignore\n/// later();\n/// ```"));
        assert!(!is_in("// ```\n// a comment\n// ```\nlet fence = \"```\";"));
    }
}
