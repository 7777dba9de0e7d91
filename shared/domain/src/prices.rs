//! What one message costs, as dated data: Meta's rates by category and the country calling code of the recipient, and the
//! price of an email. An estimate until the provider says what it bills; a receipt's [`Pricing`] says that for WhatsApp.
//!
//! Sources: Meta, "Pricing on the WhatsApp Business Platform" (2026), amounts from published rate cards of 2026, which
//! resellers repeat with differences; AWS, "Amazon SES pricing" (21 July 2026, plan Essentials, up to 10 million a month).
//! Volume tiers and the first free thousand service messages of a month are left out: the estimate is what it costs at most.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use crate::channel::Channel;
use crate::delivery::Form;
use crate::phone;
use crate::recipient::Address;
use crate::route::Category;

/// The categories that Meta bills by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaCategory {
    /// Promotions.
    Marketing,
    /// What follows from something that the recipient did; authentication costs the same or a little more.
    Utility,
    /// Free text, inside the 24-hour window.
    Service,
}

/// What Meta says in a receipt about the price of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pricing {
    /// Whether it is billed at all.
    pub billable: bool,
    /// In which category; none for one that is not known here.
    pub category: Option<MetaCategory>,
    /// The recipient's country calling code, which prices go by; none when the receipt does not say who it was.
    pub calling_code: Option<u16>,
}

/// Rates that are valid from a day on.
struct Tariff {
    from: Date,
    markets: &'static [Market],
    other: Market,
    /// Whether free text inside the window is billed, at the rate of utility.
    bills_service: bool,
}

/// Rates of one market, in millionths of a dollar.
struct Market {
    calling_codes: &'static [u16],
    marketing: i64,
    utility: i64,
}

const fn market(calling_codes: &'static [u16], marketing: i64, utility: i64) -> Market {
    Market { calling_codes, marketing, utility }
}

const MARKETS: &[Market] = &[
    // North America.
    market(&[1], 25_000, 3_400),
    // Argentina, Brazil, Chile, Colombia, Mexico, Peru.
    market(&[54], 61_800, 26_000),
    market(&[55], 25_000, 3_400),
    market(&[56], 88_900, 20_000),
    market(&[57], 12_500, 800),
    market(&[52], 30_500, 8_500),
    market(&[51], 70_300, 20_000),
    // Egypt, Nigeria, South Africa.
    market(&[20], 64_400, 3_600),
    market(&[234], 51_600, 6_700),
    market(&[27], 37_900, 7_600),
    // France, Germany, Italy, Netherlands, Spain, United Kingdom.
    market(&[33], 85_900, 30_000),
    market(&[49], 136_500, 55_000),
    market(&[39], 69_100, 30_000),
    market(&[31], 159_700, 50_000),
    market(&[34], 61_500, 20_000),
    market(&[44], 52_900, 22_000),
    // India, Indonesia, Malaysia, Pakistan.
    market(&[91], 11_800, 1_400),
    market(&[62], 41_100, 20_000),
    market(&[60], 86_000, 14_000),
    market(&[92], 47_300, 5_400),
    // Israel, Saudi Arabia, Turkey, United Arab Emirates; Russia.
    market(&[972], 35_300, 5_300),
    market(&[966], 45_500, 11_500),
    market(&[90], 10_900, 5_300),
    market(&[971], 49_900, 15_700),
    market(&[7], 80_200, 40_000),
    // The rest of Africa.
    market(
        &[
            211, 212, 213, 216, 218, 220, 221, 222, 223, 225, 226, 227, 228, 229, 231, 232, 233, 235, 237,
            241, 242, 244, 245, 249, 250, 251, 252, 254, 255, 256, 257, 258, 260, 261, 264, 265, 266, 267,
            268, 291,
        ],
        22_500,
        4_000,
    ),
    // The rest of Asia and the Pacific.
    market(
        &[61, 63, 64, 65, 66, 81, 84, 86, 93, 94, 675, 852, 855, 856, 880, 886, 976, 977, 992, 993, 998],
        73_200,
        11_300,
    ),
    // The rest of Central and Eastern Europe.
    market(
        &[30, 36, 40, 48, 355, 359, 370, 371, 373, 374, 375, 380, 381, 385, 386, 389, 420, 421, 994, 995],
        86_000,
        21_200,
    ),
    // The rest of Latin America.
    market(&[58, 502, 503, 504, 505, 506, 507, 509, 591, 593, 595, 598], 74_000, 11_300),
    // The rest of the Middle East.
    market(&[961, 962, 964, 965, 967, 968, 973, 974], 34_100, 9_100),
    // The rest of Western Europe.
    market(&[32, 41, 43, 45, 46, 47, 351, 353, 358], 59_200, 17_100),
];

const OTHER: Market = market(&[], 60_400, 7_700);

/// Meta's rates, the newest first. They change at the start of a quarter only.
const META: &[Tariff] = &[
    Tariff { from: date(2026, 10, 1), markets: MARKETS, other: OTHER, bills_service: true },
    Tariff { from: date(2025, 7, 1), markets: MARKETS, other: OTHER, bills_service: false },
];

/// The price of an email in millionths of a dollar from a day on, the newest first.
const SES: &[(Date, i64)] = &[(date(2026, 7, 21), 160), (date(2025, 7, 1), 100)];

/// What a WhatsApp message costs if it is billed; of an unknown country what Meta's `Other` costs.
#[must_use]
pub fn whatsapp_micros(category: MetaCategory, calling_code: Option<u16>, at: Timestamp) -> i64 {
    let day = day_of(at);
    // Before the first list the first one is the best guess.
    let Some(tariff) = META.iter().find(|tariff| tariff.from <= day).or(META.last()) else { return 0 };
    let in_market = |market: &&Market| calling_code.is_some_and(|code| market.calling_codes.contains(&code));
    let market = tariff.markets.iter().find(in_market).unwrap_or(&tariff.other);
    match category {
        MetaCategory::Marketing => market.marketing,
        MetaCategory::Utility => market.utility,
        MetaCategory::Service if tariff.bills_service => market.utility,
        MetaCategory::Service => 0,
    }
}

/// What an email costs.
#[must_use]
pub fn email_micros(at: Timestamp) -> i64 {
    let day = day_of(at);
    SES.iter().find(|(from, _)| *from <= day).or(SES.last()).map_or(0, |(_, micros)| *micros)
}

/// What a message is expected to cost; none for one that costs nothing at any time, which is an in-app one.
#[must_use]
pub fn estimate_micros(
    channel: Channel,
    category: Category,
    form: Option<Form>,
    to: &Address,
    at: Timestamp,
) -> Option<i64> {
    match channel {
        Channel::Whatsapp => {
            let category = match (form, category) {
                (Some(Form::Text), _) => MetaCategory::Service,
                (_, Category::Marketing) => MetaCategory::Marketing,
                _ => MetaCategory::Utility,
            };
            Some(whatsapp_micros(category, calling_code(to), at))
        }
        Channel::Email => Some(email_micros(at)),
        Channel::InApp => None,
    }
}

/// The country calling code of an address; a business-scoped user id begins with its country.
#[must_use]
pub fn calling_code(to: &Address) -> Option<u16> {
    match to {
        Address::Phone(e164) => phone::calling_code(e164),
        Address::Bsuid(id) => phone::calling_code_of_region(id.split_once('.')?.0),
        Address::Email(_) | Address::Feed => None,
    }
}

fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_price_goes_by_category_and_country() {
        let now = at("2026-11-20T09:00:00Z");
        for (to, marketing, utility) in [
            ("+12025550101", 25_000, 3_400),
            ("+33612345678", 85_900, 30_000),
            ("+263771234567", 60_400, 7_700),
        ] {
            let to = Address::Phone(to.to_owned());
            let price = |category, form| estimate_micros(Channel::Whatsapp, category, Some(form), &to, now);
            assert_eq!(price(Category::Marketing, Form::Template), Some(marketing), "{to:?}");
            assert_eq!(price(Category::Reminder, Form::Template), Some(utility), "{to:?}");
            assert_eq!(price(Category::Marketing, Form::Text), Some(utility), "{to:?}");
        }
        let bsuid = Address::Bsuid("FR.1349".to_owned());
        let price =
            estimate_micros(Channel::Whatsapp, Category::Marketing, Some(Form::Template), &bsuid, now);
        assert_eq!(price, Some(85_900));
        assert_eq!(estimate_micros(Channel::InApp, Category::Marketing, None, &Address::Feed, now), None);
    }

    #[test]
    fn a_price_is_that_of_its_day() {
        let text = |day| whatsapp_micros(MetaCategory::Service, Some(1), at(day));
        assert_eq!((text("2026-09-30T23:59:59Z"), text("2026-10-01T00:00:00Z")), (0, 3_400));
        assert_eq!(
            (email_micros(at("2026-07-20T00:00:00Z")), email_micros(at("2026-07-21T00:00:00Z"))),
            (100, 160)
        );
        assert_eq!(email_micros(at("2020-01-01T00:00:00Z")), 100);
    }

    #[test]
    fn no_country_is_in_two_markets() {
        let mut codes: Vec<u16> = MARKETS.iter().flat_map(|m| m.calling_codes).copied().collect();
        codes.sort_unstable();
        let many = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), many);
    }
}
