//! The judgement of setups, and the text of each command.

use std::collections::BTreeMap;

use carillon_domain::{Channel, Timestamp};
use serde_json::{Value, json};

use super::examine::{cloud, examine};
use super::item::Item;
use super::setup::{Group, Setup};
use super::trial::Trial;
use super::validate::Validation;
use super::{check, ready};
use Channel::{Email, Whatsapp};

/// A tenant in which messages can go out.
fn setup() -> Setup {
    let person = |value: Value| serde_json::from_value(value).unwrap();
    let people = BTreeMap::from([
        (
            "ada".to_owned(),
            person(
                json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101", "roles": ["admin"]}),
            ),
        ),
        ("bo".to_owned(), person(json!({"name": "Bo", "email": "bo@example.com"}))),
    ]);
    let route =
        json!({"audience": {"groups": ["Sales"]}, "template": "order", "channels": ["email", "whatsapp"]});
    Setup {
        url: "http://127.0.0.1:8787".to_owned(),
        version: "0.1.0".to_owned(),
        channels: BTreeMap::from([
            (Channel::Email, json!({"from": "Shop <shop@example.com>"})),
            (
                Channel::Whatsapp,
                json!({"phone_number_id": "1001", "api_version": "v25.0", "token_set": true}),
            ),
        ]),
        groups: BTreeMap::from([(
            "Sales".to_owned(),
            Group { count: 2, members: vec!["ada".to_owned(), "bo".to_owned()] },
        )]),
        templates: BTreeMap::from([("order".to_owned(), Some(1))]),
        routes: BTreeMap::from([("order.created".to_owned(), serde_json::from_value(route).unwrap())]),
        people,
        all_people: true,
        schedules: vec![schedule("sweep-due", true, &Value::Null)],
        deliveries: vec![json!({"state": "delivered", "created_at": "2026-11-20T09:00:00Z"})],
        read_at: "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap(),
    }
}

fn schedule(name: &str, deployment: bool, fault: &Value) -> Value {
    json!({"name": name, "sweep": "sweep-due", "cadence": "1m", "deployment": deployment, "fault": fault})
}

fn items(setup: &Setup) -> Vec<Item> {
    let mut items = vec![cloud(setup)];
    items.extend(examine(setup, &[]));
    items
}

/// The causes of a setup's faults.
fn faults(setup: &Setup) -> Vec<String> {
    items(setup).iter().flat_map(Item::faults).map(|fault| fault.cause.clone()).collect()
}

#[test]
fn a_check_shows_what_there_is_and_what_is_worth_knowing() {
    let done = check::shown(&items(&setup()), false);
    assert!(!done.found_fault);
    assert_eq!(
        done.text,
        "ok       cloud      http://127.0.0.1:8787 answers, version 0.1.0\n\
         ok       email      sends from Shop <shop@example.com>\n\
         ok       admins     1 admin, 1 active\n\
         ok       groups     no pack requires one; there are 1\n\
         ok       templates  1 template, 1 published\n\
         ok       whatsapp   sends from number 1001, Graph API v25.0\n\
         ok       addresses  2 recipients, 2 in groups that are told by email or WhatsApp\n\
         \x20                   warning: member without phone number: bo in Sales; whatsapp is skipped\n\
         ok       routes     1 route\n\
         ok       sending    the last 1: 1 delivered\n\
         ok       schedules  1 schedule, running\n\
         0 faults, 1 warning"
    );
    let text = check::shown(&items(&setup()), true).text;
    for detail in
        ["- Sales: 2 members, 2 active (not required)", "- order: version 1", "- Sales: 1 of 2 by whatsapp"]
    {
        assert!(text.contains(detail), "{detail} in {text}");
    }
}

/// H12, H52, I26: each cause is named by itself: no provider, no token, no group, no member, no address, no template, no
/// route, no worker.
#[test]
fn each_fault_is_named_by_its_cause() {
    let empty = |f: fn(&mut Setup)| {
        let mut setup = setup();
        f(&mut setup);
        faults(&setup)
    };
    let member = "group without members: Sales, for the route order.created";
    assert_eq!(empty(|s| *s.groups.get_mut("Sales").unwrap() = Group::default()), [member]);
    assert_eq!(empty(|s| s.groups.clear()), ["group missing: Sales, for the route order.created"]);
    assert_eq!(
        empty(|s| s.templates.clear()),
        [
            "template missing: there is none at all",
            "template missing: order, which the route order.created names, is not published"
        ]
    );
    assert_eq!(
        empty(|s| drop(s.channels.remove(&Channel::Email))),
        ["provider not configured: email has nothing to send from"]
    );
    assert_eq!(
        empty(|s| s.channels.get_mut(&Channel::Whatsapp).unwrap()["token_set"] = json!(false)),
        ["provider not configured: the WhatsApp number has no access token"]
    );
    assert_eq!(
        empty(|s| s.people.get_mut("bo").unwrap().email = None),
        ["member without address: bo in Sales; no phone number or email address"]
    );
    assert_eq!(
        empty(|s| s.people.get_mut("ada").unwrap().active = false),
        ["no admin recipient is active and has an email address"]
    );
    assert_eq!(empty(|s| s.routes.clear()), ["route missing: no event leads to a message"]);
    assert_eq!(
        empty(|s| s.deliveries[0]["state"] = json!("pending")),
        ["workers not running: 1 message on the way for over 15 minutes"]
    );
    let halted = json!({"channel": "email", "state": "held", "reason": "channel_halted"});
    let mut setup = setup();
    setup.deliveries.push(halted);
    assert_eq!(faults(&setup), ["the provider of email refuses what we send from: 1 held back"]);
}

#[test]
fn a_channel_that_no_route_uses_may_be_without_a_provider() {
    let mut setup = setup();
    setup.channels.remove(&Channel::Whatsapp);
    setup.routes.get_mut("order.created").unwrap().channels =
        serde_json::from_value(json!(["email", "in_app"])).unwrap();
    assert_eq!(faults(&setup), Vec::<String>::new());
    let text = check::shown(&items(&setup), false).text;
    assert!(
        text.contains("warning: provider not configured: whatsapp has nothing to send from; no route uses"),
        "{text}"
    );
}

#[test]
fn readiness_is_a_line_for_each_thing() {
    let mut setup = setup();
    setup.groups.get_mut("Sales").unwrap().count = 0;
    let done = ready::shown(&items(&setup));
    assert!(done.found_fault);
    assert_eq!(done.text.lines().count(), 11);
    assert!(done.text.contains(
        "not ok  routes     group without members: Sales, for the route order.created (fix: carillon groups add Sales RECIPIENT)\n"
    ), "{}", done.text);
    assert!(done.text.ends_with("\nnot ready"));
    assert_eq!(done.json["items"][7]["fix"], "carillon groups add Sales RECIPIENT");
}

#[test]
fn a_validation_has_numbered_sections_and_ends_in_its_verdict() {
    let mut setup = setup();
    setup.people.get_mut("bo").unwrap().phone = Some("+12025550102".to_owned());
    let valid = Validation { items: examine(&setup, &[]), ..Validation::default() }.done();
    assert!(!valid.found_fault);
    for heading in [
        "1. Email configuration: ok",
        "2. Admin email recipients: ok\n   1 admin, 1 active\n   - ada: Ada\n",
        "3. Required groups: ok",
        "4. Templates: ok",
        "5. WhatsApp configuration: ok",
        "6. Members and addresses: ok",
        "7. Routes: ok",
        "8. Sending: ok",
        "9. Schedules: ok",
    ] {
        assert!(valid.text.contains(heading), "{heading} in {}", valid.text);
    }
    assert!(valid.text.ends_with(
        "\nVALIDATION SUMMARY\n  0 faults, 0 warnings\nNotification system is properly configured and ready to use!"
    ));
    setup.templates.insert("order".to_owned(), None);
    let invalid = Validation { items: examine(&setup, &[]), ..Validation::default() }.done();
    assert!(invalid.found_fault);
    assert!(invalid.text.ends_with(
        "\nVALIDATION SUMMARY\n  fault: template missing: order, which the route order.created names, is not published\n    \
         fix: publish a version of the template order\n  1 fault, 0 warnings\n"
    ), "{}", invalid.text);
}

/// H51, I26: what a provider answers, in words: an unverified identity, the sandbox, IAM, a paused account, suppression;
/// a channel that is not configured, 401, an invalid number, no number, workers that do not run.
#[test]
fn a_test_that_was_not_sent_says_why_in_words() {
    let trial = |channel, state: &str, reason: &str, code: &str, detail: &str| {
        let attempt = json!({"kind": "attempt", "code": code, "detail": detail});
        let timeline = if code.is_empty() { json!([]) } else { json!([attempt]) };
        let delivery = json!({"state": state, "reason": reason, "timeline": timeline});
        Trial::of(channel, "x", &delivery).finding.map(|finding| finding.cause).unwrap_or_default()
    };
    for (cause, words) in [
        (
            trial(Email, "held", "channel_halted", "MessageRejected", "Email address is not verified."),
            "identity not verified",
        ),
        (
            trial(Email, "held", "channel_halted", "MessageRejected", "Email address is not verified."),
            "sandbox",
        ),
        (trial(Email, "held", "channel_halted", "AccessDeniedException", "no"), "IAM"),
        (trial(Email, "held", "channel_halted", "SendingPausedException", "no"), "paused"),
        (trial(Email, "skipped", "suppressed", "", ""), "suppression list"),
        (trial(Email, "held", "channel_halted", "", ""), "not configured or disabled"),
        (trial(Whatsapp, "held", "channel_halted", "190", "expired"), "HTTP 401 Unauthorized"),
        (trial(Whatsapp, "failed", "rejected:131026", "131026", "no"), "HTTP 400 Invalid phone number"),
        (trial(Whatsapp, "failed", "rejected:132015", "132015", "no"), "template paused for low quality"),
        (trial(Whatsapp, "skipped", "no_address", "", ""), "No phone number"),
        (trial(Whatsapp, "", "", "", ""), "workers not running"),
    ] {
        assert!(cause.contains(words), "{words} in {cause}");
    }
    assert_eq!(trial(Email, "delivered", "", "", ""), "");
}

/// R31: what does not run by the clock is named, and what puts it right.
#[test]
fn a_schedule_that_does_not_run_is_a_cause_r31() {
    for (deployment, fault, cause) in [
        (true, "late", "scheduler not running: sweep-due has not run when it should"),
        (false, "late", "schedule late: nightly has not run when it should"),
        (false, "missing", "schedule missing: nothing starts nightly"),
        (false, "disabled", "schedule disabled: nightly, so that what it is for stands still"),
    ] {
        let name = if deployment { "sweep-due" } else { "nightly" };
        let setup = Setup { schedules: vec![schedule(name, deployment, &json!(fault))], ..setup() };
        assert_eq!(faults(&setup), [cause]);
    }
}
