//! What borrowers should have been told, worked out in the plainest way and without the code under test: each form of each
//! loan owes what falls due while it holds, and an hour of the day is looked for on the borrower's clock minute by minute.

use std::collections::BTreeMap;

use carillon_domain::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

use super::world::{Sent, ZONES};

/// How a loan stood from one instant to the next form of it.
#[derive(Debug, Clone)]
pub struct Form {
    pub since: Timestamp,
    pub borrower: usize,
    pub due_at: Timestamp,
}

/// A loan's history.
#[derive(Debug, Clone)]
pub struct Loan {
    pub id: String,
    pub starts_at: Timestamp,
    pub forms: Vec<Form>,
    pub returned_at: Option<Timestamp>,
}

/// Everything that is to be said about a loan by the end, with when.
pub fn expected(loan: &Loan, end: Timestamp) -> Vec<Sent> {
    let mut all = Vec::new();
    let mut say = |template: &str, form: &Form, at: Timestamp| {
        all.push((loan.id.clone(), format!("loan_{template}"), format!("b{}", form.borrower), at));
    };
    let lasts = loan.forms[0].due_at.duration_since(loan.starts_at);
    let is_long = lasts > SignedDuration::from_hours(7 * 24);
    say("created", &loan.forms[0], loan.forms[0].since);
    for (n, form) in loan.forms.iter().enumerate() {
        let next = loan.forms.get(n + 1).map(|next| next.since);
        let until = next.or(loan.returned_at).unwrap_or(end).min(end);
        let zone = TimeZone::get(ZONES[form.borrower].unwrap_or("Europe/Paris")).unwrap();
        let mut owed: BTreeMap<Timestamp, &str> = BTreeMap::new();
        if is_long {
            let day = zone.to_datetime(form.due_at).date();
            for (days, template) in [(-2, "reminder_j2"), (-1, "reminder_j1"), (0, "reminder_final")] {
                let wanted = day.checked_add(days.days()).unwrap().at(8, 0, 0, 0);
                owed.insert(on_the_clock(&zone, wanted), template);
            }
        } else {
            owed.insert(form.due_at - SignedDuration::from_hours(2), "reminder_2h");
        }
        owed.insert(form.due_at, "overdue");
        owed.insert(form.due_at + SignedDuration::from_hours(24), "overdue");
        let third = form.due_at + SignedDuration::from_hours(72);
        for week in 0..20 {
            let wanted = zone.to_datetime(third).checked_add((7 * week).days()).unwrap();
            owed.insert(if week == 0 { third } else { on_the_clock(&zone, wanted) }, "overdue");
        }
        for (at, template) in owed {
            if at > form.since && at <= until {
                say(template, form, at);
            }
        }
    }
    if let (Some(returned_at), Some(last)) = (loan.returned_at, loan.forms.last()) {
        say("returned", last, returned_at);
    }
    all
}

/// The first instant at which a clock there shows this; when it is skipped, as much later as the clock is put forward.
fn on_the_clock(zone: &TimeZone, wanted: DateTime) -> Timestamp {
    let utc = TimeZone::UTC.to_timestamp(wanted).unwrap();
    let shows = |wanted: DateTime| {
        (-15 * 4..=15 * 4)
            .map(|quarters| utc + SignedDuration::from_mins(15 * quarters))
            .find(|at| zone.to_datetime(*at) == wanted)
    };
    let later =
        [0, 30, 60].into_iter().find_map(|minutes| shows(wanted + SignedDuration::from_mins(minutes)));
    later.unwrap()
}
