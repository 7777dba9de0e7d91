//! The SES client against stand-ins: what is sent, and what each way of answering or not answering comes to.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use carillon_channels::SesProvider;
use carillon_channels::email::errors;
use carillon_channels::email::provider::ses_client;
use carillon_domain::{Address, Rendered, Token};
use carillon_pipeline::ports::{Account, Answer, Call, Provider, RefusalClass};
use serde_json::json;

use crate::stand_in::{Answering, Then, nobody, unhelpful};

const TOKEN: &str = "aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbbbb-e-1";

fn shared(credentials: bool) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        // The caller's configuration repeats; sending must not.
        .retry_config(RetryConfig::standard());
    if credentials {
        let keys = Credentials::new("id", "secret", None, None, "test");
        config = config.credentials_provider(SharedCredentialsProvider::new(keys));
    } else {
        config = config.credentials_provider(SharedCredentialsProvider::new(NoCredentials));
    }
    config.build()
}

#[derive(Debug)]
struct NoCredentials;

impl aws_credential_types::provider::ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = aws_credential_types::provider::error::CredentialsError::not_loaded("there are none");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}

async fn called_with(config: &SdkConfig, url: &str, to: &Address, message: &Rendered) -> Answer {
    let account = Account::Email {
        from: "Acme <noreply@example.com>".to_owned(),
        configuration_set: Some("carillon".to_owned()),
    };
    let token: Token = TOKEN.parse().unwrap();
    let provider = SesProvider::new(ses_client(config, Some(url)));
    provider
        .call(&Call { tenant: "acme", account: &account, to, message, token: &token, unsubscribe: None })
        .await
}

async fn called(url: &str) -> Answer {
    called_with(&shared(true), url, &ada(), &hello()).await
}

fn ada() -> Address {
    Address::Email("ada@example.com".to_owned())
}

fn hello() -> Rendered {
    Rendered::Email { subject: "Prêt".to_owned(), html: "<p>Hello</p>".to_owned(), text: "Hello".to_owned() }
}

#[tokio::test]
async fn an_email_is_sent_with_its_tags_and_its_id_is_read() {
    let ses = Answering::with(200, &[], r#"{"MessageId":"0102019-x"}"#).await;
    assert_eq!(called(&ses.url).await, Answer::Accepted { message_id: "0102019-x".to_owned() });
    let asked = ses.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/v2/email/outbound-emails");
    let text = |data: &str| json!({"Data": data, "Charset": "UTF-8"});
    let body = json!({
        "FromEmailAddress": "Acme <noreply@example.com>",
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "Content": {"Simple": {
            "Subject": text("Prêt"), "Body": {"Html": text("<p>Hello</p>"), "Text": text("Hello")},
        }},
        "EmailTags": [{"Name": "carillon", "Value": TOKEN}, {"Name": "carillon-tenant", "Value": "acme"}],
        "ConfigurationSetName": "carillon",
    });
    assert_eq!(asked[0].body, body);
}

#[tokio::test]
async fn a_200_that_names_no_message_is_unknown() {
    for body in ["", "<html>", "{}", r#"{"MessageId":""}"#] {
        let ses = Answering::with(200, &[], body).await;
        let answer = called(&ses.url).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{body} {answer:?}");
    }
}

#[tokio::test]
async fn every_class_of_error_is_told_by_its_code_and_words_and_never_repeated() {
    for (status, code, message, class, wait_s) in [
        (429, "TooManyRequestsException", "Too many", RefusalClass::Throttle, None),
        (400, "ThrottlingException", "Maximum sending rate exceeded.", RefusalClass::Throttle, None),
        (400, "ThrottlingException", "Daily message quota exceeded.", RefusalClass::Throttle, Some(600)),
        (400, "LimitExceededException", "", RefusalClass::Throttle, None),
        (400, "AccountSuspendedException", "", RefusalClass::AccountStop, None),
        (400, "SendingPausedException", "", RefusalClass::AccountStop, None),
        (400, "MailFromDomainNotVerifiedException", "", RefusalClass::Configuration, None),
        (
            404,
            "NotFoundException",
            "Configuration set <carillon> does not exist.",
            RefusalClass::Configuration,
            None,
        ),
        (400, "MessageRejected", "Email address is not verified.", RefusalClass::Configuration, None),
        (400, "MessageRejected", "Illegal content", RefusalClass::Permanent, None),
        (400, "BadRequestException", "Missing final '@domain'", RefusalClass::OurBug, None),
        (500, "InternalServiceErrorException", "", RefusalClass::Ambiguous, None),
        (403, "AccessDeniedException", "", RefusalClass::Configuration, None),
        (403, "UnrecognizedClientException", "", RefusalClass::Configuration, None),
        (403, "SomethingNewException", "", RefusalClass::Configuration, None),
        (400, "SomethingNewException", "", RefusalClass::OurBug, None),
        (503, "SomethingNewException", "", RefusalClass::Ambiguous, None),
    ] {
        let body = json!({"__type": code, "message": message}).to_string();
        let ses = Answering::with(status, &[("x-amzn-requestid", "req-1")], &body).await;
        let answer = called(&ses.url).await;
        let Answer::Refused(refused) = answer else { panic!("{code} {answer:?}") };
        assert_eq!((refused.meaning.class, refused.meaning.wait_s), (class, wait_s), "{code} {message}");
        assert_eq!((refused.code.as_str(), refused.http_status), (code, status));
        assert_eq!(refused.trace_id.as_deref(), Some("req-1"));
        assert_eq!(ses.asked().len(), 1, "{code} was repeated");
    }
}

#[tokio::test]
async fn a_refusal_does_not_show_the_address() {
    let message = "Email address is not verified. The following identities failed the check: ada@example.com";
    let body = json!({"__type": "MessageRejected", "message": message}).to_string();
    let ses = Answering::with(400, &[], &body).await;
    let Answer::Refused(refused) = called(&ses.url).await else { panic!() };
    assert!(refused.detail.starts_with("Email address is not verified."), "{}", refused.detail);
    assert!(!refused.detail.contains("example.com"), "{}", refused.detail);
}

#[tokio::test]
async fn a_gateway_that_answers_for_ses_leaves_it_unknown() {
    let ses = Answering::with(502, &[], "<html>bad gateway</html>").await;
    let answer = called(&ses.url).await;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
}

#[tokio::test]
async fn what_goes_wrong_after_the_request_left_is_unknown_and_never_repeated() {
    for then in [Then::HangUp, Then::BreakOff] {
        let (url, requests) = unhelpful(then).await;
        let answer = called(&url).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
        assert_eq!(*requests.lock().unwrap(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let answer = called(&nobody().await).await;
    assert!(matches!(answer, Answer::Unreachable { .. }), "{answer:?}");
}

#[tokio::test]
async fn missing_credentials_are_a_fault_of_the_configuration() {
    let Answer::Refused(refused) = called_with(&shared(false), &nobody().await, &ada(), &hello()).await
    else {
        panic!()
    };
    assert_eq!((refused.meaning.class, refused.code.as_str()), (RefusalClass::Configuration, "credentials"));
}

#[tokio::test]
async fn what_cannot_be_an_email_is_our_bug_and_is_not_made() {
    let ses = Answering::with(200, &[], r#"{"MessageId":"m"}"#).await;
    let phone = Address::Phone("+12025550123".to_owned());
    let text = Rendered::WhatsappText { body: "b".to_owned() };
    for (to, message) in [(&phone, &hello()), (&ada(), &text)] {
        let Answer::Refused(refused) = called_with(&shared(true), &ses.url, to, message).await else {
            panic!()
        };
        assert_eq!(refused.meaning.class, RefusalClass::OurBug);
    }
    assert!(ses.asked().is_empty());
}

#[test]
fn each_rule_of_the_table_can_be_reached() {
    for rule in errors::TABLE {
        assert_eq!(errors::meaning(rule.code, rule.words, 400), rule.meaning, "{rule:?}");
    }
}
