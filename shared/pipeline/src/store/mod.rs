//! The items of the one table: what is stored under which key, in typed form. Above the [`Table`](crate::ports::Table)
//! port and below the use cases; the same code runs on DynamoDB and on the in-memory model.

pub mod api_keys;
pub mod counters;
pub mod credits;
pub mod dead_letters;
pub mod deadlines;
pub mod deliveries;
pub mod digests;
pub mod directory;
pub mod due;
pub mod escalations;
pub mod events;
pub mod failures;
pub mod forgotten;
pub mod groups;
pub mod inbox;
pub mod inbox_marks;
pub mod jobs;
pub mod keys;
pub mod lanes;
pub mod members;
pub mod owners;
pub mod pauses;
pub mod problems;
pub mod provider_templates;
pub mod reminder_policies;
pub mod routes;
pub mod schedules;
pub mod settings;
pub mod shards;
pub mod suppressions;
pub mod switches;
pub mod templates;
pub mod tenants;
pub mod throttles;
pub mod told;
pub mod windows;

use carillon_domain::{Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ports::{Item, StoreError};

/// The version that every item is written with; readers take any and ignore what they do not know.
const ITEM_VERSION: u32 = 1;

/// A value as an item.
pub(crate) fn to_item<T: Serialize>(value: &T) -> Result<Item, StoreError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(mut item)) => {
            item.insert("v".to_owned(), ITEM_VERSION.into());
            Ok(item)
        }
        Ok(_) => Err(StoreError::Refused("a stored value must be an object".to_owned())),
        Err(error) => Err(StoreError::Refused(format!("a value cannot be stored: {error}"))),
    }
}

/// An item as a value.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_json::from_value(Value::Object(item))
        .map_err(|error| StoreError::Refused(format!("a stored item cannot be read: {error}")))
}

/// A name or id that was read out of a key.
pub(crate) fn name_of<T: TryFrom<String>>(text: &str) -> Result<T, StoreError> {
    T::try_from(text.to_owned()).map_err(|_| StoreError::Refused("a stored name cannot be read".to_owned()))
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                let mut problem =
                    Self::new(ProblemKind::Unavailable, "The store cannot be reached. Try again.");
                problem.retry_after_s = Some(2);
                problem
            }
            StoreError::Conflict(_) => {
                Self::new(ProblemKind::Conflict, "Somebody else changed it at the same time.")
            }
            StoreError::BadCursor => {
                Self::new(ProblemKind::Malformed, "The cursor is not one that a list answered.")
            }
            StoreError::Refused(_) => {
                Self::new(ProblemKind::Internal, "The store did not take it; this is our fault.")
            }
        }
    }
}
