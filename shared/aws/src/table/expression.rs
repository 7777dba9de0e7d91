//! A [`Write`]'s checks and changes as DynamoDB expressions. Every attribute name goes through a `#` placeholder, since
//! half of English is a reserved word there, and every value through a `:` placeholder.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use carillon_pipeline::ports::{Check, Write};
use serde_json::Value;

use super::attribute::{Attributes, from_json};

/// The expressions of one write with their names and values; `None` where there is nothing, as DynamoDB wants it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expressions {
    pub condition: Option<String>,
    pub update: Option<String>,
    pub names: Option<HashMap<String, String>>,
    pub values: Option<Attributes>,
}

impl Expressions {
    /// What this write asks for.
    pub(super) fn of(write: &Write) -> Self {
        let mut placeholders = Placeholders::default();
        let update = match write {
            Write::Update { set, add, remove, .. } => placeholders.update(set, add, remove),
            Write::Put { .. } | Write::Delete { .. } => None,
        };
        let checks: Vec<String> = write.only_if().iter().map(|check| placeholders.check(check)).collect();
        Self {
            condition: (!checks.is_empty()).then(|| checks.join(" AND ")),
            update,
            names: placeholders.names(),
            values: (!placeholders.values.is_empty()).then_some(placeholders.values),
        }
    }
}

/// The names and values that were given a placeholder so far.
#[derive(Default)]
pub(super) struct Placeholders {
    names: Vec<String>,
    pub(super) values: Attributes,
}

impl Placeholders {
    /// The placeholder of a name, the same each time.
    pub(super) fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|n| n == name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("#n{at}")
    }

    /// A placeholder of this value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// A placeholder of this text.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.value(AttributeValue::S(text.to_owned()))
    }

    /// What the names stand for.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let named = self.names.iter().enumerate().map(|(at, name)| (format!("#n{at}"), name.clone()));
        (!self.names.is_empty()).then(|| named.collect())
    }

    fn update(
        &mut self,
        set: &[(String, Value)],
        add: &[(String, i64)],
        remove: &[String],
    ) -> Option<String> {
        let (null, kept): (Vec<_>, Vec<_>) = set.iter().partition(|(_, value)| value.is_null());
        let set: Vec<String> = kept
            .into_iter()
            .map(|(name, value)| format!("{} = {}", self.name(name), self.value(from_json(value))))
            .collect();
        let add: Vec<String> = add
            .iter()
            .map(|(name, by)| {
                format!("{} {}", self.name(name), self.value(AttributeValue::N(by.to_string())))
            })
            .collect();
        // An attribute that is null is one that is not there: setting it to null is removing it.
        let remove: Vec<String> =
            remove.iter().chain(null.into_iter().map(|(name, _)| name)).map(|name| self.name(name)).collect();
        let clauses = [("SET", set), ("ADD", add), ("REMOVE", remove)];
        let clauses: Vec<String> = clauses
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(verb, parts)| format!("{verb} {}", parts.join(", ")))
            .collect();
        (!clauses.is_empty()).then(|| clauses.join(" "))
    }

    fn check(&mut self, check: &Check) -> String {
        match check {
            Check::Absent => format!("attribute_not_exists({})", self.name("pk")),
            Check::Present => format!("attribute_exists({})", self.name("pk")),
            Check::Missing(name) | Check::Equals(name, Value::Null) => {
                format!("attribute_not_exists({})", self.name(name))
            }
            Check::Equals(name, value) => format!("{} = {}", self.name(name), self.value(from_json(value))),
            Check::OneOf(name, values) => self.one_of(name, values),
        }
    }

    fn one_of(&mut self, name: &str, values: &[Value]) -> String {
        let name = self.name(name);
        let (null, listed): (Vec<_>, Vec<_>) = values.iter().partition(|value| value.is_null());
        let listed: Vec<String> = listed.into_iter().map(|value| self.value(from_json(value))).collect();
        let within = (!listed.is_empty()).then(|| format!("{name} IN ({})", listed.join(", ")));
        let without = (!null.is_empty()).then(|| format!("attribute_not_exists({name})"));
        match (within, without) {
            (Some(within), Some(without)) => format!("({within} OR {without})"),
            (Some(only), None) | (None, Some(only)) => only,
            // None of no values: DynamoDB has no `false`.
            (None, None) => format!("(attribute_exists({name}) AND attribute_not_exists({name}))"),
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_pipeline::ports::Key;
    use serde_json::json;

    use super::*;

    fn update(
        set: Vec<(String, Value)>,
        add: Vec<(String, i64)>,
        remove: &[&str],
        only_if: Vec<Check>,
    ) -> Write {
        let key = Key::read_back("p".to_owned(), "s".to_owned());
        Write::Update { key, set, add, remove: remove.iter().map(|&name| name.to_owned()).collect(), only_if }
    }

    #[test]
    fn a_name_has_one_placeholder_in_both_expressions() {
        let set = vec![("state".to_owned(), json!("sent")), ("owner".to_owned(), Value::Null)];
        let checks = vec![Check::Equals("state", json!("sending")), Check::Missing("owner")];
        let made = Expressions::of(&update(set, vec![("calls".to_owned(), 1)], &["lease_until"], checks));
        assert_eq!(made.update.as_deref(), Some("SET #n0 = :v0 ADD #n1 :v1 REMOVE #n2, #n3"));
        assert_eq!(made.condition.as_deref(), Some("#n0 = :v2 AND attribute_not_exists(#n3)"));
        let names = made.names.unwrap();
        assert_eq!(
            ["#n0", "#n1", "#n2", "#n3"].map(|n| names[n].as_str()),
            ["state", "calls", "lease_until", "owner"]
        );
        assert_eq!(made.values.unwrap()[":v1"], AttributeValue::N("1".to_owned()));
    }

    #[test]
    fn a_write_that_asks_nothing_has_no_expressions() {
        assert_eq!(Expressions::of(&update(Vec::new(), Vec::new(), &[], Vec::new())), Expressions::default());
    }
}
