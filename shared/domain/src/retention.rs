//! How long a tenant keeps what it has sent: a number of days for everything, or one for each category.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::problem::FieldError;
use crate::route::Category;

/// How long what was sent is kept, in days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Retention {
    /// Everything equally long.
    All(u16),
    /// `default`, and the categories that are kept longer or shorter.
    Each(BTreeMap<KeptAs, u16>),
}

/// A category, or all that are not named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the category of the same name")]
pub enum KeptAs {
    Default,
    Transactional,
    Reminder,
    Marketing,
    Critical,
    System,
}

impl From<Category> for KeptAs {
    fn from(category: Category) -> Self {
        match category {
            Category::Transactional => Self::Transactional,
            Category::Reminder => Self::Reminder,
            Category::Marketing => Self::Marketing,
            Category::Critical => Self::Critical,
            Category::System => Self::System,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::All(Self::DAYS)
    }
}

impl Retention {
    /// What is kept where nobody says otherwise.
    pub const DAYS: u16 = 90;

    /// The longest: what nobody has removed goes by itself some time after that.
    pub const MOST: u16 = 3_650;

    /// How many days a category is kept; without one, what has none.
    #[must_use]
    pub fn days(&self, category: Option<Category>) -> i64 {
        let days = match self {
            Self::All(days) => Some(days),
            Self::Each(each) => {
                let own = category.and_then(|category| each.get(&category.into()));
                own.or_else(|| each.get(&KeptAs::Default))
            }
        };
        i64::from(days.copied().unwrap_or(Self::DAYS))
    }

    /// Every number of days that something is kept for, the shortest first.
    #[must_use]
    pub fn all_days(&self) -> Vec<i64> {
        let mut days: Vec<i64> = Category::ALL.map(|category| self.days(Some(category))).into();
        days.push(self.days(None));
        days.sort_unstable();
        days.dedup();
        days
    }

    /// What cannot be.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let fault = |days: u16, pointer: String| {
            let wrong = !(1..=Self::MOST).contains(&days);
            wrong.then(|| FieldError::new(pointer, format!("must be 1 to {} days", Self::MOST)))
        };
        match self {
            Self::All(days) => fault(*days, String::new()).into_iter().collect(),
            Self::Each(each) => {
                let name = |kept: &KeptAs| serde_json::json!(kept).as_str().unwrap_or_default().to_owned();
                each.iter().filter_map(|(kept, days)| fault(*days, format!("/{}", name(kept)))).collect()
            }
        }
    }
}

/// The days of a log that are old enough for one of these numbers of days, given the first that each has not looked at:
/// days that are wholly over so long ago. In order, each once.
#[must_use]
pub fn days_to_look_at(today: i64, lanes: &[(i64, i64)]) -> Vec<i64> {
    let mut days: Vec<i64> = lanes.iter().flat_map(|(kept, from)| *from..today - kept).collect();
    days.sort_unstable();
    days.dedup();
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Retention {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_category_is_kept_as_long_as_it_says_or_as_the_default() {
        let each = read(json!({"default": 60, "marketing": 30}));
        assert_eq!(each.days(Some(Category::Marketing)), 30);
        assert_eq!((each.days(Some(Category::System)), each.days(None)), (60, 60));
        assert_eq!(each.all_days(), [30, 60]);
        assert_eq!(read(json!({"marketing": 30})).all_days(), [30, 90]);
        assert_eq!(read(json!(7)).all_days(), [7]);
        assert_eq!(Retention::default().days(None), 90);
    }

    #[test]
    fn less_than_a_day_and_more_than_ten_years_are_refused() {
        assert_eq!(read(json!(0)).faults()[0].pointer, "");
        assert_eq!(read(json!({"marketing": 3_651})).faults()[0].pointer, "/marketing");
        assert!(read(json!(3_650)).faults().is_empty());
    }

    #[test]
    fn each_day_is_looked_at_once_when_it_is_old_enough() {
        // Day 100: what is kept a day is looked at up to day 98, what is kept 10 days up to day 89.
        assert_eq!(days_to_look_at(100, &[(1, 97), (10, 88)]), [88, 89, 97, 98]);
        assert_eq!(days_to_look_at(100, &[(1, 95), (4, 95)]), [95, 96, 97, 98]);
        assert!(days_to_look_at(100, &[(90, 10)]).is_empty());
    }
}
