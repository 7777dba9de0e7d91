//! What messages cost, in millionths of a US dollar: Meta's and SES's price lists are in dollars, and so is what is counted.
//! [`crate::prices`] says what one message costs; deliveries carry it, and the counters add it up.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// The currency of every amount.
pub const CURRENCY: &str = "USD";

/// An amount, and how sure it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// In millionths of [`CURRENCY`].
    pub amount_micros: i64,
    /// Taken from a price list: the provider has not said yet whether it bills the message.
    pub estimated: bool,
}

impl Cost {
    /// What a price list says.
    #[must_use]
    pub fn estimate(amount_micros: i64) -> Self {
        Self { amount_micros, estimated: true }
    }

    /// Both together; a guess in one is a guess in the sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            amount_micros: self.amount_micros.saturating_add(other.amount_micros),
            estimated: self.estimated || other.estimated,
        }
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut money = serializer.serialize_struct("Cost", 3)?;
        money.serialize_field("amount_micros", &self.amount_micros)?;
        money.serialize_field("currency", CURRENCY)?;
        money.serialize_field("estimated", &self.estimated)?;
        money.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_a_guess_in_it_is_a_guess() {
        let billed = Cost { amount_micros: 3_400, estimated: false };
        assert_eq!(billed.plus(billed), Cost { amount_micros: 6_800, estimated: false });
        let sum = serde_json::json!(billed.plus(Cost::estimate(160)));
        assert_eq!(sum, serde_json::json!({"amount_micros": 3_560, "currency": "USD", "estimated": true}));
    }
}
