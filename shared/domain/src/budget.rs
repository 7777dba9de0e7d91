//! Budgets: how much may be spent in a day or month, on everything or on a part. What would be sent beyond one waits for the
//! next period, unless it is critical.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::cost::CURRENCY;
use crate::counters::{Place, day_of};
use crate::delivery::Delivery;
use crate::ids::{EventType, TemplateName};
use crate::problem::FieldError;
use crate::route::Category;

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// Everything that the tenant sends.
    Tenant,
    /// A channel.
    Channel,
    /// A category.
    Category,
    /// A type of event.
    EventType,
    /// A template.
    Template,
}

/// How long it lasts, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// From midnight to midnight.
    Day,
    /// From the first of a month on.
    Month,
}

/// A limit of what may be spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// On what.
    pub scope: BudgetScope,
    /// Which channel, category, type or template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How much, in millionths of the currency.
    pub amount_micros: i64,
    /// The currency: what is counted is in [`CURRENCY`].
    pub currency: String,
    /// In which time.
    pub period: BudgetPeriod,
}

impl BudgetPeriod {
    /// The day that the period of an instant began on.
    #[must_use]
    pub fn first_day(self, at: Timestamp) -> i64 {
        let today = day_of(at);
        match self {
            Self::Day => today,
            Self::Month => today - i64::from(civil(at).day()) + 1,
        }
    }
}

fn civil(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// What money is spent on.
#[derive(Debug, Clone, Copy)]
pub struct Spent<'a> {
    /// The channel.
    pub channel: Channel,
    /// The category.
    pub category: Category,
    /// The type of the event.
    pub event_type: &'a EventType,
    /// The template.
    pub template: Option<&'a TemplateName>,
}

impl<'a> From<&'a Delivery> for Spent<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let Delivery { channel, category, event_type, template, .. } = delivery;
        Self { channel: *channel, category: *category, event_type, template: template.as_ref() }
    }
}

impl<'a> From<&'a Place> for Spent<'a> {
    fn from(place: &'a Place) -> Self {
        let Place { channel, category, event_type, template, .. } = place;
        Self { channel: *channel, category: *category, event_type, template: template.as_ref() }
    }
}

impl Budget {
    /// Whether what is spent on this counts.
    #[must_use]
    pub fn covers(&self, what: Spent<'_>) -> bool {
        let value = self.value.as_deref();
        match self.scope {
            BudgetScope::Tenant => true,
            BudgetScope::Channel => value == Some(what.channel.as_str()),
            BudgetScope::Category => value == Some(what.category.as_str()),
            BudgetScope::EventType => value == Some(what.event_type.as_str()),
            BudgetScope::Template => what.template.is_some_and(|name| value == Some(name.as_str())),
        }
    }

    /// What is wrong with a budget that is put.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let value = self.value.as_deref();
        let fits = match self.scope {
            BudgetScope::Tenant => value.is_none(),
            BudgetScope::Channel => value.is_some_and(|v| v.parse::<Channel>().is_ok()),
            BudgetScope::Category => value.is_some_and(|v| Category::ALL.iter().any(|c| c.as_str() == v)),
            BudgetScope::EventType => value.is_some_and(|v| v.parse::<EventType>().is_ok()),
            BudgetScope::Template => value.is_some_and(|v| v.parse::<TemplateName>().is_ok()),
        };
        if !fits {
            faults
                .push(FieldError::new("/value", "is not one of its scope; a budget of the tenant has none"));
        }
        if self.amount_micros < 0 {
            faults.push(FieldError::new("/amount_micros", "must not be below 0"));
        }
        if self.currency != CURRENCY {
            faults.push(FieldError::new(
                "/currency",
                format!("must be {CURRENCY}, in which costs are counted"),
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(scope: BudgetScope, value: Option<&str>) -> Budget {
        let value = value.map(str::to_owned);
        Budget { scope, value, amount_micros: 1, currency: "USD".to_owned(), period: BudgetPeriod::Day }
    }

    #[test]
    fn a_budget_covers_its_scope_and_nothing_else() {
        use BudgetScope::{Category as Ca, Channel as Ch, EventType as Et, Template as Te, Tenant};
        let (event_type, template) = ("order.created".parse().unwrap(), "order".parse().unwrap());
        let what = Spent {
            channel: Channel::Email,
            category: Category::Marketing,
            event_type: &event_type,
            template: Some(&template),
        };
        for (scope, value, covers) in [
            (Tenant, None, true),
            (Ch, Some("email"), true),
            (Ch, Some("whatsapp"), false),
            (Ca, Some("marketing"), true),
            (Et, Some("order.created"), true),
            (Et, Some("order"), false),
            (Te, Some("order"), true),
        ] {
            assert_eq!(budget(scope, value).covers(what), covers, "{scope:?} {value:?}");
            assert!(budget(scope, value).faults().is_empty(), "{scope:?} {value:?}");
        }
        assert_eq!(budget(Ch, Some("sms")).faults().len(), 1);
        assert_eq!(budget(Tenant, Some("acme")).faults().len(), 1);
    }

    #[test]
    fn a_month_begins_on_its_first_day() {
        let at = "2026-11-20T09:00:00Z".parse().unwrap();
        assert_eq!(BudgetPeriod::Day.first_day(at) - BudgetPeriod::Month.first_day(at), 19);
    }
}
