//! A TOML file as JSON, together with the line of every value: so that a fault found by a JSON pointer, here or by the
//! API, is told by file and line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use carillon_domain::FieldError;
use carillon_domain::problem::pointer_part;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::PackFault;

/// Where the values of one file are.
#[derive(Debug, Default)]
pub struct Places {
    file: PathBuf,
    lines: BTreeMap<String, usize>,
    elsewhere: BTreeMap<String, PathBuf>,
}

impl Places {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is not TOML, with its line.
    pub fn read(file: &Path, text: &str) -> Result<(Self, Value), PackFault> {
        let mut reader = Reader { text, places: Self { file: file.to_owned(), ..Self::default() } };
        let root = DeTable::parse(text).map_err(|error| PackFault {
            file: file.to_owned(),
            line: error.span().map(|span| reader.line(span.start)),
            detail: error.message().replace('\n', ", "),
        })?;
        let value = reader.table("", root.get_ref())?;
        Ok((reader.places, value))
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Says that the value at a pointer is the content of another file.
    pub fn is_in(&mut self, pointer: &str, file: PathBuf) {
        self.elsewhere.insert(pointer.to_owned(), file);
    }

    /// A fault, by file and line: those of the value at its pointer, else of the nearest thing around it.
    #[must_use]
    pub fn fault(&self, fault: FieldError) -> PackFault {
        if let Some(file) = self.elsewhere.get(&fault.pointer) {
            return PackFault { file: file.clone(), line: None, detail: fault.detail };
        }
        let mut around = fault.pointer.as_str();
        let line = loop {
            match (self.lines.get(around), around.rfind('/')) {
                (Some(line), _) => break Some(*line),
                (None, Some(end)) => around = &around[..end],
                (None, None) => break None,
            }
        };
        let detail = match fault.pointer.trim_start_matches('/') {
            "" => fault.detail,
            inside => format!("{inside}: {}", fault.detail),
        };
        PackFault { file: self.file.clone(), line, detail }
    }
}

struct Reader<'a> {
    text: &'a str,
    places: Places,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
    }

    fn table(&mut self, at: &str, table: &DeTable<'_>) -> Result<Value, PackFault> {
        let mut object = Map::new();
        for (key, value) in table {
            let pointer = format!("{at}/{}", pointer_part(key.get_ref()));
            let line = self.line(key.span().start);
            self.places.lines.insert(pointer.clone(), line);
            object.insert(key.get_ref().to_string(), self.value(&pointer, value.get_ref())?);
        }
        Ok(Value::Object(object))
    }

    fn value(&mut self, at: &str, value: &DeValue<'_>) -> Result<Value, PackFault> {
        Ok(match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(instant) => Value::String(instant.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => number.into(),
                Err(_) => return Err(self.no_number(at)),
            },
            DeValue::Float(number) => {
                match number.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
                    Some(number) => Value::Number(number),
                    None => return Err(self.no_number(at)),
                }
            }
            DeValue::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    let pointer = format!("{at}/{i}");
                    let line = self.line(item.span().start);
                    self.places.lines.insert(pointer.clone(), line);
                    array.push(self.value(&pointer, item.get_ref())?);
                }
                Value::Array(array)
            }
            DeValue::Table(table) => self.table(at, table)?,
        })
    }

    fn no_number(&self, at: &str) -> PackFault {
        self.places.fault(FieldError::new(at, "this number cannot be written as JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str =
        "name = \"x\"\n\n[[groups]]\nname = \"A/B\"\nsize = 0x10\n\n[[groups]]\n# nothing\nrate = 1.5\n";

    #[test]
    fn a_fault_is_told_by_the_line_of_its_value_or_of_what_is_around_it() {
        let (places, value) = Places::read(Path::new("p.toml"), TEXT).unwrap();
        assert_eq!(value, json!({"name": "x", "groups": [{"name": "A/B", "size": 16}, {"rate": 1.5}]}));
        for (pointer, said) in [
            ("/name", "p.toml:1: name: bad"),
            ("/groups/0/size", "p.toml:5: groups/0/size: bad"),
            ("/groups/1/name", "p.toml:7: groups/1/name: bad"),
            ("/nothing", "p.toml: nothing: bad"),
            ("", "p.toml: bad"),
        ] {
            assert_eq!(places.fault(FieldError::new(pointer, "bad")).to_string(), said);
        }
    }

    #[test]
    fn what_is_not_toml_or_not_json_is_told_by_its_line() {
        for (text, line) in [
            ("a = 1\nb = = 2\n", 2),
            ("a = 1\n\na = 2\n", 3),
            ("\na = nan\n", 2),
            ("a = 99999999999999999999\n", 1),
        ] {
            let fault = Places::read(Path::new("p.toml"), text).unwrap_err();
            assert_eq!(fault.line, Some(line), "{fault}");
        }
    }
}
