//! From JSON to a type, with a fault that points at what is wrong. Unknown fields are faults: a typo must not be silent.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{FieldError, pointer_part};

/// Reads a value as `T`. Only here are unknown fields refused: what is stored is read by tolerant readers.
///
/// # Errors
/// The first thing that does not fit, or every field that is not known, with a JSON pointer to each.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Vec<FieldError>> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let parsed: Result<T, _> = serde_ignored::deserialize(tracked, |path| {
        let pointer = ignored_pointer(&path);
        let name = pointer.rsplit('/').next().unwrap_or_default().to_owned();
        unknown.push(FieldError::new(pointer, format!("unknown field `{name}`")));
    });
    match parsed {
        Ok(_) if !unknown.is_empty() => Err(unknown),
        Ok(parsed) => Ok(parsed),
        Err(error) => {
            let error: serde_json::Error = error;
            let detail = error.to_string();
            let mut pointer = tracked_pointer(&track.path());
            // serde names a missing field in its text only; the path stops at the object around it.
            if let Some(field) = quoted_after(&detail, "missing field ") {
                pointer = pointer + "/" + &pointer_part(field);
            }
            unknown.insert(0, FieldError::new(pointer, detail));
            Err(unknown)
        }
    }
}

fn tracked_pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => format!("{pointer}/{index}"),
        serde_path_to_error::Segment::Map { key } => format!("{pointer}/{}", pointer_part(key)),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => pointer,
    })
}

fn ignored_pointer(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", ignored_pointer(parent)),
        Path::Map { parent, key } => format!("{}/{}", ignored_pointer(parent), pointer_part(key)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            ignored_pointer(parent)
        }
    }
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only its parsing is tested")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing is tested")]
        count: u32,
    }

    #[test]
    fn a_fault_points_at_what_is_wrong() {
        for (json, pointer) in [
            (serde_json::json!({"inner": [{"count": 1}, {"count": "x"}]}), "/inner/1/count"),
            (serde_json::json!({"inner": [{"count": 1, "cuont": 2}]}), "/inner/0/cuont"),
            (serde_json::json!({"inner": [{}]}), "/inner/0/count"),
            (serde_json::json!({"inner": 3}), "/inner"),
        ] {
            let errors = super::from_value::<Outer>(json).unwrap_err();
            assert_eq!(errors[0].pointer, pointer, "{errors:?}");
        }
    }
}
