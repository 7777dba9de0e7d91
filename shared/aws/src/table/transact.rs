//! All of some writes, or none, as `TransactWriteItems`; which write's check failed is read from the cancellation.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use carillon_pipeline::ports::{StoreError, TransactError, Write};

use super::DynamoTable;
use super::attribute::{from_item, from_key, to_found};
use super::expression::Expressions;
use crate::failure::{REPEATS, pause, store_error};

/// Reasons of a cancellation that pass: another transaction on the same item, or too much at once.
const PASSING: [&str; 3] = ["ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"];

/// Writes all of them or none.
pub(super) async fn transact(table: &DynamoTable, writes: &[Write]) -> Result<(), TransactError> {
    if writes.is_empty() {
        return Ok(());
    }
    let items: Vec<TransactWriteItem> =
        writes.iter().map(|write| entry(table, write)).collect::<Result<_, _>>()?;
    let mut repeat = 0;
    loop {
        let sent = table.client.transact_write_items().set_transact_items(Some(items.clone())).send().await;
        let Err(error) = sent else { return Ok(()) };
        match reading(&error) {
            Reading::Passes if repeat < REPEATS => pause(repeat).await,
            Reading::Passes => return Err(StoreError::Unavailable(cancelled(&error)).into()),
            Reading::Ends(end) => return Err(end),
        }
        repeat += 1;
    }
}

/// What an error says about another try.
enum Reading {
    Passes,
    Ends(TransactError),
}

fn reading(error: &SdkError<TransactWriteItemsError>) -> Reading {
    let Some(TransactWriteItemsError::TransactionCanceledException(_)) = error.as_service_error() else {
        return Reading::Ends(store_error("TransactWriteItems", error).into());
    };
    let is =
        |reason: &CancellationReason, codes: &[&str]| reason.code().is_some_and(|code| codes.contains(&code));
    let reasons = reasons(error);
    if let Some(at) = reasons.iter().position(|reason| is(reason, &["ConditionalCheckFailed"])) {
        return Reading::Ends(match to_found(reasons[at].item()) {
            Ok(found) => TransactError::Conflict { at, found },
            Err(unreadable) => unreadable.into(),
        });
    }
    if reasons.iter().any(|reason| is(reason, &PASSING)) {
        return Reading::Passes;
    }
    Reading::Ends(StoreError::Refused(cancelled(error)).into())
}

fn reasons(error: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancellation)) => {
            cancellation.cancellation_reasons()
        }
        _ => &[],
    }
}

fn cancelled(error: &SdkError<TransactWriteItemsError>) -> String {
    let codes: Vec<&str> =
        reasons(error).iter().filter_map(CancellationReason::code).filter(|c| *c != "None").collect();
    format!("TransactWriteItems was cancelled: {}", codes.join(", "))
}

fn entry(table: &DynamoTable, write: &Write) -> Result<TransactWriteItem, StoreError> {
    let Expressions { condition, update, names, values } = Expressions::of(write);
    let found = ReturnValuesOnConditionCheckFailure::AllOld;
    let made = TransactWriteItem::builder();
    let made = match write {
        Write::Put { key, item, .. } => Put::builder()
            .table_name(&table.name)
            .set_item(Some(from_item(key, item)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(found)
            .build()
            .map(|put| made.put(put)),
        Write::Update { key, .. } => Update::builder()
            .table_name(&table.name)
            .set_key(Some(from_key(key)))
            // The type asks for an expression, DynamoDB for none that is empty: `transact` owes at least one change.
            .update_expression(update.unwrap_or_default())
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(found)
            .build()
            .map(|update| made.update(update)),
        Write::Delete { key, .. } => Delete::builder()
            .table_name(&table.name)
            .set_key(Some(from_key(key)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(found)
            .build()
            .map(|delete| made.delete(delete)),
    };
    let made = made
        .map_err(|error| StoreError::Refused(format!("TransactWriteItems could not be written: {error}")))?;
    Ok(made.build())
}
