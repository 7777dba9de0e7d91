//! The in-app feed: a title, a text and where a click leads, stored by Carillon itself. There is no `provider.rs`,
//! no `errors.rs` and no `receipts.rs` here because there is no provider: fan-out stores the item in the same table,
//! which settles the delivery, and the reader's own calls to the inbox say when it was read.

pub mod render;
