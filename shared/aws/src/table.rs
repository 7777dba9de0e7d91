//! [`Table`] on DynamoDB. `attribute` translates values, `expression` checks and changes, `page`, `many` and `transact`
//! are the calls that are more than one; `definition` makes the table where no template does.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use carillon_pipeline::ports::{Item, Key, Page, Query, StoreError, Table, TransactError, Write};
use futures_util::{StreamExt, stream};

use self::attribute::{from_item, from_key, to_found};
use self::expression::Expressions;
use crate::failure::{REPEATS, pause, store_error};

pub(crate) mod attribute;
mod definition;
mod expression;
mod many;
mod page;
#[cfg(test)]
mod repeat_tests;
#[cfg(test)]
mod tests;
mod transact;

pub use definition::ensure_table;

/// Writes of one `write_each` at a time: a table's first minute takes 4,000 a second, a function's share is far less.
const WRITES_IN_FLIGHT: usize = 25;

/// The one table of a deployment.
///
/// The SDK's own retries stay on: three attempts for what was throttled or lost. So a conditional write may conflict
/// with its own first attempt, as [`Table`] says.
#[derive(Debug, Clone)]
pub struct DynamoTable {
    client: Client,
    name: String,
}

impl DynamoTable {
    /// The table of this name.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    async fn put(&self, key: &Key, item: &Item, asked: Expressions) -> Result<Item, Fault> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(from_item(key, item)))
            .set_condition_expression(asked.condition)
            .set_expression_attribute_names(asked.names)
            .set_expression_attribute_values(asked.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        sent.map(|_| Item::new()).map_err(|error| {
            Fault::of("PutItem", &error, |error| match error {
                PutItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            })
        })
    }

    async fn update(&self, key: &Key, asked: Expressions) -> Result<Item, Fault> {
        let sent = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(from_key(key)))
            .set_update_expression(asked.update)
            .set_condition_expression(asked.condition)
            .set_expression_attribute_names(asked.names)
            .set_expression_attribute_values(asked.values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let answer = sent.map_err(|error| {
            Fault::of("UpdateItem", &error, |error| match error {
                UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            })
        })?;
        Ok(to_found(answer.attributes()).map_err(Fault::Ends)?.unwrap_or_default())
    }

    async fn delete(&self, key: &Key, asked: Expressions) -> Result<Item, Fault> {
        let sent = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(from_key(key)))
            .set_condition_expression(asked.condition)
            .set_expression_attribute_names(asked.names)
            .set_expression_attribute_values(asked.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        sent.map(|_| Item::new()).map_err(|error| {
            Fault::of("DeleteItem", &error, |error| match error {
                DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            })
        })
    }
}

/// Why one try of a write failed.
enum Fault {
    /// A transaction holds the item for a moment. The SDK does not repeat this one.
    Passes(StoreError),
    Ends(StoreError),
}

impl Fault {
    fn of<E>(
        operation: &str,
        error: &SdkError<E>,
        failed: fn(&E) -> Option<&ConditionalCheckFailedException>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let Some(failed) = error.as_service_error().and_then(failed) {
            return Self::Ends(
                to_found(failed.item()).map_or_else(|unreadable| unreadable, StoreError::Conflict),
            );
        }
        let read = store_error(operation, error);
        if error.code() == Some("TransactionConflictException") {
            Self::Passes(read)
        } else {
            Self::Ends(read)
        }
    }
}

#[async_trait]
impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request =
            self.client.get_item().table_name(&self.name).set_key(Some(from_key(key))).consistent_read(true);
        let answer = request.send().await.map_err(|error| store_error("GetItem", &error))?;
        to_found(answer.item())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, StoreError> {
        many::get_many(self, keys).await
    }

    async fn write(&self, write: Write) -> Result<Item, StoreError> {
        let mut repeat = 0;
        loop {
            let asked = Expressions::of(&write);
            let tried = match &write {
                Write::Put { key, item, .. } => self.put(key, item, asked).await,
                Write::Update { key, .. } => self.update(key, asked).await,
                Write::Delete { key, .. } => self.delete(key, asked).await,
            };
            match tried {
                Ok(item) => return Ok(item),
                Err(Fault::Passes(_)) if repeat < REPEATS => pause(repeat).await,
                Err(Fault::Passes(error) | Fault::Ends(error)) => return Err(error),
            }
            repeat += 1;
        }
    }

    async fn write_each(&self, writes: Vec<Write>) -> Vec<Result<Item, StoreError>> {
        let calls: Vec<_> = writes.into_iter().map(|write| self.write(write)).collect();
        stream::iter(calls).buffered(WRITES_IN_FLIGHT).collect().await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactError> {
        transact::transact(self, &writes).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        page::page(self, query).await
    }
}
