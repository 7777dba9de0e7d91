//! `carillon test-templates`, as the real binary against a cloud: with `--to` it sends every template of a pack to one
//! recipient and says what became of each message. R27, R28.

use carillon_tests::Dev;
use carillon_tests::command::{run, run_json};
use carillon_tests::stand_in::{StandIn, refused, taken};
use serde_json::{Value, json};

async fn borrower(dev: &Dev) {
    let anouk =
        json!({"name": "Anouk", "email": "anouk@example.com", "phone": "+12025550160", "locale": "fr"});
    assert_eq!(dev.admin.put("/v1/recipients/anouk", &anouk).await.status, 201);
}

/// R27, R28: a loan of three hours is played through its messages to one person, on both channels, and each message has
/// its end; the statistics count them by channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_three_hour_loan_is_played_through_all_its_messages() {
    let dev = Dev::start().await;
    borrower(&dev).await;
    assert_eq!(run(&dev, &["apply", "loans"]).await.code, Some(0));
    let played = run(&dev, &["test-templates", "--pack", "loans", "--to", "anouk"]).await;
    assert_eq!(played.code, Some(0), "{played:?}");
    let story = [
        "loan_created",
        "loan_reminder_2h",
        "loan_overdue",
        "loan_returned",
        "loan_reminder_j2",
        "loan_reminder_j1",
        "loan_reminder_final",
    ];
    let mut lines = vec!["TEMPLATE             CHANNEL   STATE      REASON".to_owned()];
    for template in story {
        for channel in ["email", "whatsapp"] {
            lines.push(format!("{template:<19}  {channel:<8}  delivered"));
        }
    }
    for channel in ["email", "whatsapp"] {
        lines.push(format!("{channel}: 7 sent, 7 delivered, 0 failed"));
    }
    lines.push("7 templates to anouk".to_owned());
    assert_eq!(played.text.lines().collect::<Vec<_>>(), lines);
    let outbox = dev.outbox().await;
    assert!(
        outbox.iter().all(|m| ["+12025550160", "anouk@example.com"].contains(&m["to"].as_str().unwrap()))
    );
    let mut arrived: Vec<&Value> = outbox.iter().filter(|m| m["channel"] == "whatsapp").collect();
    arrived.sort_by_key(|m| m["received_at"].as_str().unwrap().to_owned());
    let names: Vec<&str> = arrived.iter().map(|m| m["template"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, story, "one after the other");
    let one_loan = arrived[..4].iter().all(|m| m["template"]["parameters"][1] == "EMP-2026-1001");
    assert!(one_loan, "the first four are of the same loan");
}

/// R28: what is refused, skipped or cannot leave is told for each template and channel, counted, and ends with exit code 1.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_is_told_with_its_reason() {
    let meta = StandIn::start(|asked, number| match asked.body["template"]["name"].as_str() {
        Some("loan_overdue") => refused(404, 132_001, "Template name does not exist in the translation"),
        _ => taken(number),
    })
    .await;
    let dev = Dev::with(Some(meta.url.clone()), None).await;
    let anouk = json!({"name": "Anouk", "phone": "+12025550160", "locale": "fr"});
    assert_eq!(dev.admin.put("/v1/recipients/anouk", &anouk).await.status, 201);
    let missing = run(&dev, &["test-templates", "--pack", "loans", "--to", "anouk"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing.text.contains("template missing; carillon templates load --pack loans"),
        "{}",
        missing.text
    );
    assert_eq!(run(&dev, &["templates", "load", "--pack", "loans"]).await.code, Some(0));
    let nobody = run(&dev, &["test-templates", "--pack", "loans", "--to", "nobody"]).await;
    assert_eq!((nobody.code, nobody.complaint.contains("there is no recipient nobody")), (Some(1), true));
    let (code, told) = run_json(&dev, &["test-templates", "--to", "anouk"]).await;
    let items = told["items"].as_array().unwrap();
    let end = |template: &str, channel: &str| {
        let found = items.iter().find(|i| i["template"] == template && i["channel"] == channel).unwrap();
        (found["state"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(end("loan_created", "email"), ("skipped".to_owned(), "no_address".to_owned()));
    assert_eq!(end("loan_created", "whatsapp").0, "sent", "the stand-in sends no receipts");
    assert_ne!(end("loan_overdue", "whatsapp").0, "sent");
    assert_eq!(told["statistics"]["email"]["skipped"], 7);
    assert_eq!(told["statistics"]["whatsapp"]["sent"], 6);
}
