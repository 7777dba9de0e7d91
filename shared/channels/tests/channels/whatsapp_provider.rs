//! The Cloud API client against stand-ins: what is sent, and what each way of answering or not answering comes to.

use std::time::Duration;

use carillon_channels::WhatsappProvider;
use carillon_channels::whatsapp::errors;
use carillon_domain::rendered::RenderedParameters;
use carillon_domain::{Address, Rendered, Token};
use carillon_pipeline::ports::{Account, Answer, Call, Provider, Refusal, RefusalClass};
use serde_json::json;

use crate::stand_in::{Answering, Then, nobody, unhelpful};

const TOKEN: &str = "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-w-1";
const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+12025550123","wa_id":"12025550123"}],
    "messages":[{"id":"wamid.HBgL","message_status":"accepted"}]}"#;

#[expect(clippy::disallowed_methods, reason = "the client of the runtime is out of reach of this crate")]
fn provider(url: &str) -> WhatsappProvider {
    let once =
        reqwest::Client::builder().retry(reqwest::retry::never()).redirect(reqwest::redirect::Policy::none());
    let client = once.build().unwrap();
    WhatsappProvider::new(client, url.to_owned()).with_timeout(Duration::from_millis(500))
}

async fn called(url: &str, to: &Address, message: &Rendered) -> Answer {
    let account = Account::Whatsapp {
        phone_number_id: "106540352242922".to_owned(),
        api_version: "v25.0".to_owned(),
        token: "EAAG-system-user".to_owned(),
    };
    let token: Token = TOKEN.parse().unwrap();
    provider(url)
        .call(&Call { tenant: "acme", account: &account, to, message, token: &token, unsubscribe: None })
        .await
}

fn ada() -> Address {
    Address::Phone("+12025550123".to_owned())
}

fn hello() -> Rendered {
    Rendered::WhatsappText { body: "Hello".to_owned() }
}

async fn refusal(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Refusal {
    let meta = Answering::with(status, headers, body).await;
    match called(&meta.url, &ada(), &hello()).await {
        Answer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_text_is_sent_as_meta_asks_and_its_id_is_read() {
    let meta = Answering::with(200, &[], ACCEPTED).await;
    let answer = called(&meta.url, &ada(), &hello()).await;
    assert_eq!(answer, Answer::Accepted { message_id: "wamid.HBgL".to_owned() });
    let asked = meta.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/v25.0/106540352242922/messages");
    assert_eq!(asked[0].headers["authorization"], "Bearer EAAG-system-user");
    let body = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+12025550123", "type": "text",
        "text": {"body": "Hello", "preview_url": false}, "biz_opaque_callback_data": TOKEN,
    });
    assert_eq!(asked[0].body, body);
}

#[tokio::test]
async fn a_template_carries_its_parameters_by_position_or_by_name() {
    let named = [("first_name".to_owned(), "Ada".to_owned())].into();
    for (parameters, components) in [
        (
            RenderedParameters::Positional(vec!["A-1".to_owned(), "5".to_owned()]),
            json!([{"type": "body", "parameters": [{"type": "text", "text": "A-1"}, {"type": "text", "text": "5"}]}]),
        ),
        (
            RenderedParameters::Named(named),
            json!([{"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Ada"}]}]),
        ),
        (RenderedParameters::Positional(vec![]), json!(null)),
    ] {
        let meta = Answering::with(200, &[], ACCEPTED).await;
        let (name, language) = ("order_ready".to_owned(), "pt_BR".to_owned());
        let message = Rendered::WhatsappTemplate { name, language, parameters, acknowledge_button: None };
        called(&meta.url, &Address::Bsuid("US.13491208655302741918".to_owned()), &message).await;
        let body = &meta.asked()[0].body;
        assert_eq!(body["recipient"], "US.13491208655302741918");
        assert!(body.get("to").is_none());
        assert_eq!(body["template"]["language"], json!({"code": "pt_BR"}));
        assert_eq!(body["template"]["components"], components);
    }
}

#[tokio::test]
async fn a_button_that_acknowledges_carries_the_token_of_its_call() {
    let meta = Answering::with(200, &[], ACCEPTED).await;
    let message = Rendered::WhatsappTemplate {
        name: "order_ready".to_owned(),
        language: "en".to_owned(),
        parameters: RenderedParameters::Positional(vec![]),
        acknowledge_button: Some(1),
    };
    called(&meta.url, &ada(), &message).await;
    let button = json!([{
        "type": "button", "sub_type": "quick_reply", "index": "1",
        "parameters": [{"type": "payload", "payload": format!("acknowledge:{TOKEN}")}],
    }]);
    assert_eq!(meta.asked()[0].body["template"]["components"], button);
}

#[tokio::test]
async fn a_200_that_names_no_message_is_unknown() {
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"messages":[]}"#,
        r#"{"messages":[{"id":""}]}"#,
        r#"{"messages":[{"id":7}]}"#,
    ] {
        let meta = Answering::with(200, &[], body).await;
        assert!(matches!(called(&meta.url, &ada(), &hello()).await, Answer::Unknown { .. }), "{body}");
    }
}

#[tokio::test]
async fn every_class_of_error_is_told_by_its_code_and_not_by_its_status() {
    for (code, status, transient, class) in [
        (130_429, 400, false, RefusalClass::Throttle),
        (131_056, 400, false, RefusalClass::Throttle),
        (131_016, 500, false, RefusalClass::Transient),
        (131_000, 500, false, RefusalClass::Ambiguous),
        (190, 401, false, RefusalClass::Configuration),
        (230, 403, false, RefusalClass::Configuration),
        (131_031, 403, false, RefusalClass::AccountStop),
        (131_026, 400, false, RefusalClass::Permanent),
        (100, 400, false, RefusalClass::OurBug),
        (131_049, 400, false, RefusalClass::Hold),
        (999_999, 400, false, RefusalClass::OurBug),
        (999_999, 400, true, RefusalClass::Transient),
        (999_999, 503, true, RefusalClass::Ambiguous),
        (131_026, 400, true, RefusalClass::Permanent),
    ] {
        let body = json!({"error": {"message": "m", "type": "OAuthException", "code": code, "is_transient": transient}});
        let refused = refusal(status, &[], &body.to_string()).await;
        assert_eq!(
            (refused.meaning.class, refused.code),
            (class, code.to_string()),
            "{code} {status} {transient}"
        );
        assert_eq!(refused.http_status, status);
    }
}

#[tokio::test]
async fn a_refusal_tells_what_operators_need_and_nothing_about_the_reader() {
    let body = json!({"error": {
        "message": "(#131056) pair rate limit hit for +1 202-555-0123 with EAAG-system-user",
        "code": 131_056, "fbtrace_id": "AbCdEf123",
        "error_data": {"details": format!("wa_id 12025550123 ada@example.com {}", "x".repeat(300))},
    }});
    let refused = refusal(400, &[("retry-after", "6")], &body.to_string()).await;
    assert_eq!(refused.retry_after_s, Some(6));
    assert_eq!(refused.trace_id.as_deref(), Some("AbCdEf123"));
    assert!(refused.detail.starts_with("(#131056) pair rate limit hit for"), "{}", refused.detail);
    assert_eq!(refused.detail.chars().count(), 200);
    for secret in ["555", "ada@example.com", "EAAG"] {
        assert!(!refused.detail.contains(secret), "{}", refused.detail);
    }
}

#[tokio::test]
async fn an_error_without_a_readable_body_is_judged_by_its_status() {
    for (status, class) in [
        (404, RefusalClass::OurBug),
        (307, RefusalClass::OurBug),
        (403, RefusalClass::Configuration),
        (429, RefusalClass::Throttle),
    ] {
        // The redirect leads to the stand-in itself: following it would be a second request.
        let refused =
            refusal(status, &[("location", "/elsewhere"), ("retry-after", "soon")], "<html>no</html>").await;
        assert_eq!(
            (refused.meaning.class, refused.code, refused.retry_after_s),
            (class, status.to_string(), None)
        );
    }
    for status in [500, 502, 503, 504] {
        let meta = Answering::with(status, &[], r#"{"error":"bad gateway"}"#).await;
        let answer = called(&meta.url, &ada(), &hello()).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{status} {answer:?}");
    }
}

#[tokio::test]
async fn what_goes_wrong_after_the_request_left_is_unknown_and_never_repeated() {
    for then in [Then::HangUp, Then::BreakOff, Then::KeepSilent] {
        let (url, requests) = unhelpful(then).await;
        let answer = called(&url, &ada(), &hello()).await;
        let Answer::Unknown { detail } = answer else { panic!("{answer:?}") };
        assert!(!detail.contains("127.0.0.1"), "{detail}");
        assert_eq!(*requests.lock().unwrap(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let answer = called(&nobody().await, &ada(), &hello()).await;
    let Answer::Unreachable { detail } = answer else { panic!("{answer:?}") };
    assert!(detail.to_lowercase().contains("refused"), "{detail}");
}

#[tokio::test]
async fn what_cannot_be_a_whatsapp_call_is_our_bug_and_is_not_made() {
    let meta = Answering::with(200, &[], ACCEPTED).await;
    let email = Address::Email("ada@example.com".to_owned());
    let item = Rendered::InApp { title: "t".to_owned(), body: "b".to_owned(), action_url: None };
    for (url, to, message) in
        [(meta.url.as_str(), &email, &hello()), (&meta.url, &ada(), &item), ("not a url", &ada(), &hello())]
    {
        let Answer::Refused(refusal) = called(url, to, message).await else { panic!() };
        assert_eq!(refusal.meaning.class, RefusalClass::OurBug);
    }
    assert!(meta.asked().is_empty());
}

#[test]
fn the_table_is_in_order_and_no_code_has_two_classes() {
    for pair in errors::TABLE.windows(2) {
        assert!(pair[0].codes.end() < pair[1].codes.start(), "{pair:?}");
    }
}

/// Transcribed from its source a second time, by class; where that leaves a choice, `errors.rs` says what was chosen.
#[test]
fn every_code_has_the_class_of_the_reference() {
    use RefusalClass::{AccountStop, Ambiguous, Configuration, Hold, OurBug, Permanent, Throttle, Transient};
    let reference: [(RefusalClass, &[i64]); 8] = [
        (Throttle, &[4, 80_007, 130_429, 131_056, 131_057, 132_069, 133_016]),
        (Transient, &[1, 2, 131_016, 133_004]),
        (Ambiguous, &[131_000]),
        (
            Configuration,
            &[
                0, 3, 10, 33, 190, 200, 250, 299, 131_005, 131_030, 131_037, 131_042, 131_044, 131_045,
                131_055, 131_063, 133_000, 133_005, 133_006, 133_008, 133_009, 133_010, 133_015, 134_011,
                134_102,
            ],
        ),
        (AccountStop, &[368, 131_031, 131_048, 131_064]),
        (Permanent, &[130_472, 130_497, 131_021, 131_026, 131_047, 131_050, 131_062, 137_000]),
        (
            OurBug,
            &[
                100, 131_008, 131_009, 131_051, 131_052, 131_053, 132_000, 132_001, 132_005, 132_007,
                132_008, 132_012, 132_016, 134_100, 135_000,
            ],
        ),
        (Hold, &[131_049, 132_015, 132_068, 134_101]),
    ];
    for (class, codes) in reference {
        for code in codes {
            assert_eq!(errors::known(*code).map(|m| m.class), Some(class), "{code}");
        }
    }
    let listed = |code: i64| reference.iter().any(|(_, codes)| codes.contains(&code));
    assert!(errors::TABLE.iter().all(|rule| listed(*rule.codes.start())));
    for unknown in [-1, 5, 199, 300, 132_013, 424_242] {
        assert_eq!(errors::known(unknown), None, "{unknown}");
    }
}
