//! The closed lists of the document against those of the domain. Each word is documented by itself.

use carillon_domain::state::PlainReason;
use carillon_domain::{Channel, HeldReason, ProblemKind, StateKind};
use serde::de::value::StrDeserializer;
use serde::{Deserialize, de::IntoDeserializer};

use super::{document, words};

#[test]
fn states_are_those_of_the_domain() {
    assert_eq!(words(&document(), "State"), StateKind::ALL.map(StateKind::as_str));
}

#[test]
fn reasons_are_those_of_the_domain() {
    let document = document();
    let held: Vec<&str> = HeldReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(words(&document, "HeldReason"), held);
    let ends: Vec<&str> = PlainReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(words(&document, "EndReason"), ends);
}

#[test]
fn channels_and_problem_types_are_those_of_the_domain() {
    let document = document();
    assert_eq!(words(&document, "Channel"), Channel::ALL.map(Channel::as_str));
    let types: Vec<&str> = ProblemKind::ALL.iter().map(|kind| kind.urn()).collect();
    assert_eq!(words(&document, "ProblemType"), types);
}

/// The words that an enum of the domain is read from, in their order, as serde names them to an unreadable one.
fn read_from<'de, T: Deserialize<'de>>() -> Vec<String> {
    let nothing: StrDeserializer<'_, serde::de::value::Error> = "?".into_deserializer();
    let error = T::deserialize(nothing).err().unwrap().to_string();
    let expected = error.split_once("expected").unwrap().1;
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn categories_priorities_outcomes_scopes_and_kinds_of_key_are_those_of_the_domain() {
    let document = document();
    assert_eq!(words(&document, "Category"), read_from::<carillon_domain::Category>());
    assert_eq!(words(&document, "Priority"), read_from::<carillon_domain::Priority>());
    assert_eq!(words(&document, "Outcome"), read_from::<carillon_domain::Outcome>());
    assert_eq!(words(&document, "Scope"), read_from::<carillon_domain::Scope>());
    assert_eq!(words(&document, "KeyKind"), read_from::<carillon_domain::KeyKind>());
    assert_eq!(words(&document, "JobState"), read_from::<carillon_domain::JobState>());
}

#[test]
fn every_word_of_a_closed_list_says_what_it_means() {
    let document = document();
    for list in [
        "State",
        "HeldReason",
        "EndReason",
        "Category",
        "Outcome",
        "ProblemType",
        "Scope",
        "KeyKind",
        "JobState",
        "DeadlineState",
    ] {
        for word in document["components"]["schemas"][list]["oneOf"].as_array().unwrap() {
            assert!(word["description"].as_str().is_some_and(|text| !text.is_empty()), "{list} {word}");
        }
    }
}
