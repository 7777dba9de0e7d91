//! An SDK error in Carillon's words: what can be repeated, and a text that names the operation and never what was
//! written or read. AWS's own messages are left out because some of them quote the request.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use carillon_pipeline::ports::StoreError;

/// Codes of faults in the request itself. Everything else may pass, or passes once an operator has mended it.
const REFUSALS: [&str; 7] = [
    "HierarchyLevelLimitExceededException",
    "IdempotentParameterMismatchException",
    "ItemCollectionSizeLimitExceededException",
    "ParameterPatternMismatchException",
    "SerializationException",
    "UnsupportedParameterType",
    "ValidationException",
];

/// How often what AWS answers with "not now" inside a successful or cancelled call is asked again; the SDK repeats
/// failed calls by itself.
pub(crate) const REPEATS: u32 = 5;

/// Waits before the repeat of this number, from 0: 25 ms, then twice as long each time.
pub(crate) async fn pause(repeat: u32) {
    tokio::time::sleep(Duration::from_millis(25 << repeat.min(REPEATS))).await;
}

/// The error of an operation as the store's.
pub(crate) fn store_error<E>(operation: &str, error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let text = describe(operation, error);
    match error.code() {
        Some(code) if REFUSALS.contains(&code) => StoreError::Refused(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Which operation failed and how, without data.
pub(crate) fn describe<E>(operation: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or("an error without a code");
            let request = answer.raw().headers().get("x-amzn-requestid").unwrap_or("without an id");
            format!("{operation} was answered {code} (HTTP {status}, request {request})")
        }
        SdkError::ResponseError(answer) => {
            format!("{operation} was answered unreadably (HTTP {})", answer.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => format!("{operation} had no answer in time"),
        _ => format!("{operation} could not be sent: {}", root_cause(error)),
    }
}

/// The innermost cause: no connection, no credentials. The ones around it say only that the call failed.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
