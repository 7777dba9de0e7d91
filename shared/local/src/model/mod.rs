//! The table in memory: [`ModelTable`] answers what the DynamoDB adapter answers, without a wait and without a wire, and
//! counts what DynamoDB would bill. `change` says what a write makes of an item, `places` keeps indexes and answers
//! queries, `meter` prices. `tests/model/` holds it to the adapter, operation by operation.

mod change;
pub mod meter;
mod places;
pub mod table;

pub(crate) use change::after;
pub use meter::{Operation, Spent, Tally, item_size};
pub use table::ModelTable;
