//! The commands that set a tenant up and judge it, as the real binary against a cloud: what they print, and their exit
//! codes. H40-H46, H51-H53, I26, R27, R28, E26.

use std::process::Command;

use carillon_tests::command::{run, run_json, run_with};
use carillon_tests::load::carillon;
use carillon_tests::{Client, Dev};
use serde_json::{Value, json};

/// Somebody with both addresses in each of the groups.
async fn fill(admin: &Client, groups: &[&str]) {
    let ada = json!({"name": "Ada", "email": "ada@example.com", "phone": "+12025550101", "roles": ["admin"]});
    assert!(admin.put("/v1/recipients/ada", &ada).await.status < 300);
    for group in groups {
        let path = format!("/v1/groups/{}/members", group.replace(' ', "%20"));
        assert_eq!(admin.post(&path, &json!({"add": ["ada"]})).await.status, 200);
    }
}

const CRM_GROUPS: [&str; 6] =
    ["Technical Admin", "System Admins", "Sales Team", "Pastoral Team", "Pfungwa Staff", "Finance Team"];

/// H40, H55: a line for each group and a summary; a second run changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_six_groups_are_made_once_h40() {
    let dev = Dev::start().await;
    let first = run(&dev, &["groups", "create", "--pack", "crm"]).await;
    assert_eq!((first.code, first.last_line()), (Some(0), "Summary: 6 created, 0 already existed"));
    assert_eq!(first.text.lines().count(), 7);
    let second = run(&dev, &["groups", "create", "--pack", "crm"]).await;
    assert_eq!((second.code, second.last_line()), (Some(0), "Summary: 0 created, 6 already existed"));
    for (text, verb) in [(&first.text, "created:        "), (&second.text, "already exists: ")] {
        for group in CRM_GROUPS {
            assert!(text.contains(&format!("{verb}{group}\n")), "{text}");
        }
    }
    assert_eq!(dev.admin.get("/v1/groups").await.body["items"].as_array().map(Vec::len), Some(6));
    let (code, all) = run_json(&dev, &["groups", "create"]).await;
    assert_eq!((code, all["existed"].as_array().map(Vec::len)), (Some(0), Some(6)));
    assert!(
        all["created"].as_array().is_some_and(|created| !created.is_empty()),
        "the other packs' groups: {all}"
    );
}

/// H36, H45, H57a: the predefined set is loaded and counted, also the second time.
#[tokio::test(flavor = "multi_thread")]
async fn loading_templates_says_how_many_were_new_h45() {
    let dev = Dev::start().await;
    let load = ["templates", "load", "--pack", "crm"];
    assert_eq!(run(&dev, &load).await.text, "15 templates loaded (15 new, 0 changed, 0 unchanged)\n");
    let own = json!({"locales": {"en": {"in_app": {"title": "Mine", "body": "Mine"}}}});
    let path = "/v1/templates/hanna_system_error?publish=true";
    assert_eq!(dev.admin.put(path, &own).await.status, 200);
    assert_eq!(run(&dev, &load).await.text, "15 templates loaded (0 new, 1 changed, 14 unchanged)\n");
    assert_eq!(run(&dev, &load).await.text, "15 templates loaded (0 new, 0 changed, 15 unchanged)\n");
    let wrong = run(&dev, &["templates", "load", "--pack", "no-such-pack"]).await;
    assert_eq!((wrong.code, wrong.complaint.contains("crm")), (Some(1), true), "{wrong:?}");
}

/// H41, H43, H52, H53: numbered sections, a summary that names each cause and its remedy, repairs when asked, and the
/// sentence of success.
#[tokio::test(flavor = "multi_thread")]
async fn a_setup_is_validated_repaired_and_valid_h41_h43_h52_h53() {
    let dev = Dev::start().await;
    let empty = run(&dev, &["validate", "--pack", "crm"]).await;
    assert_eq!(empty.code, Some(1));
    for cause in
        ["group missing: Sales Team", "template missing: hanna_", "no admin recipient", "route missing: "]
    {
        assert!(empty.text.contains(&format!("fault: {cause}")), "{cause} in {}", empty.text);
    }
    let fix = ["validate", "--fix", "--admin-email", "root@example.com", "--pack", "crm"];
    let fixed = run(&dev, &fix).await;
    assert_eq!(fixed.code, Some(1));
    for line in [
        "fixed: made the group Sales Team\n",
        "fixed: loaded 15 templates of the pack crm\n",
        "fixed: made the admin admin with root@example.com\n",
        "   - Sales Team: 0 members, 0 active\n",
        "fault: group without members: Sales Team\n    fix: carillon groups add 'Sales Team' RECIPIENT\n",
        "fix: carillon apply crm\n",
    ] {
        assert!(fixed.text.contains(line), "{line} in {}", fixed.text);
    }
    assert!(!run(&dev, &fix).await.text.contains("fixed: "), "a second repair has nothing to do");
    assert_eq!(run(&dev, &["apply", "crm"]).await.code, Some(0));
    fill(&dev.admin, &[]).await;
    for group in CRM_GROUPS {
        assert_eq!(run(&dev, &["groups", "add", group, "ada"]).await.code, Some(0));
    }
    // No pack is named: it is the one in use.
    let valid = run(&dev, &["validate"]).await;
    assert_eq!(valid.code, Some(0), "{}", valid.text);
    assert_eq!(valid.last_line(), "Notification system is properly configured and ready to use!");
    for (number, title) in
        ["Email configuration", "Admin email recipients", "Required groups"].iter().enumerate()
    {
        assert!(valid.text.contains(&format!("{}. {title}: ok\n", number + 1)), "{}", valid.text);
    }
    assert!(valid.text.contains("   - Sales Team: 1 member, 1 active\n"), "{}", valid.text);
    assert!(dev.outbox().await.is_empty(), "validating sends nothing");
}

/// H42, H48: one test mail with fixed words to an address, which is reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_goes_to_the_address_that_is_given_h42() {
    let dev = Dev::start().await;
    let sent =
        run(&dev, &["validate", "--test-email", "ada@example.com", "--test-whatsapp", "+12025550101"]).await;
    for line in ["test by email to ada@example.com: ", "test by whatsapp to +12025550101: "] {
        let state =
            sent.text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("{sent:?}"));
        assert!(state.starts_with("sent, ") || state.starts_with("delivered, "), "{sent:?}");
    }
    let mut to: Vec<(String, String)> = Vec::new();
    for item in dev.outbox().await {
        to.push(["channel", "to"].map(|name| item[name].as_str().unwrap_or_default().to_owned()).into());
    }
    to.sort();
    let [mail, phone] = &to[..] else { panic!("one message each: {to:?}") };
    assert_eq!((mail.0.as_str(), mail.1.as_str()), ("email", "ada@example.com"));
    assert_eq!((phone.0.as_str(), phone.1.trim_start_matches('+')), ("whatsapp", "12025550101"));
}

/// H48, H51, I26: a test that is not sent fails loudly, with the cause.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_that_is_refused_is_diagnosed_h51_i26() {
    let dev = Dev::start().await;
    let unverified = json!({"from": "Shop <shop@unverified.example.com>"});
    assert_eq!(dev.admin.put("/v1/channels/email", &unverified).await.status, 200);
    let refused = run(&dev, &["validate", "--test-email", "ada@example.com", "--test-whatsapp", "12"]).await;
    assert_eq!(refused.code, Some(1));
    for words in [
        "fault: the test by email was not sent: identity not verified",
        "fault: the address of the test by whatsapp is not a phone number",
    ] {
        assert!(refused.text.contains(words), "{words} in {}", refused.text);
    }
    let check = run(&dev, &["check"]).await;
    assert!(check.text.contains("fault: the provider of email refuses what we send from"), "{}", check.text);
}

/// H44, H46: what is configured and what is missing, in one look.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_ends_with_1_while_something_is_missing_h44_h46() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let (code, missing) = run_json(&dev, &["ready"]).await;
    assert_eq!((code, &missing["ready"]), (Some(1), &json!(false)));
    let not_ok: Vec<&Value> =
        missing["items"].as_array().unwrap().iter().filter(|item| item["ok"] == false).collect();
    assert_eq!(not_ok.iter().map(|item| &item["name"]).collect::<Vec<_>>(), ["admins"]);
    assert!(not_ok[0]["fix"].as_str().is_some_and(|fix| fix.starts_with("carillon ")));
    assert_eq!(run(&dev, &["check"]).await.code, Some(1));
    fill(&dev.admin, &[]).await;
    let ready = run(&dev, &["ready"]).await;
    assert_eq!((ready.code, ready.last_line()), (Some(0), "ready"), "{}", ready.text);
    assert_eq!(run(&dev, &["check"]).await.code, Some(0));
    // Somebody without a phone is worth knowing; somebody without any address is a fault.
    let nobody = json!({"name": "Bo", "email": "bo@example.com"});
    dev.admin.put("/v1/recipients/bo", &nobody).await;
    dev.admin.post("/v1/groups/Sales%20Team/members", &json!({"add": ["bo"]})).await;
    let check = run(&dev, &["check", "--verbose"]).await;
    assert_eq!(check.code, Some(0), "{}", check.text);
    for line in [
        "warning: member without phone number: bo in Sales Team",
        "- Sales Team: 1 of 2 by whatsapp",
        "- order: version 1",
        "- ada: Ada",
    ] {
        assert!(check.text.contains(line), "{line} in {}", check.text);
    }
    dev.admin.put("/v1/recipients/bo", &json!({"name": "Bo"})).await;
    let check = run(&dev, &["check"]).await;
    assert_eq!(check.code, Some(1));
    assert!(check.text.contains("fault: member without address: bo in Sales Team"), "{}", check.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_a_wrong_command_line_from_a_cloud_out_of_reach() {
    let dev = Dev::start().await;
    assert_eq!(run_with(&dev, "", &["check"], "").await.code, Some(2));
    assert_eq!(run_with(&dev, "ck_live_no_such_key", &["check"], "").await.code, Some(1));
    assert_eq!(run(&dev, &["validate", "--no-such-option"]).await.code, Some(2));
    let output =
        Command::new(carillon()).args(["check", "--url", "http://127.0.0.1:1", "--key", "k"]).output();
    assert_eq!(output.unwrap().status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_takes_the_good_lines_and_names_the_bad_ones() {
    let dev = Dev::start().await;
    let people = "{\"id\": \"ada\", \"name\": \"Ada\", \"phone\": \"+12025550101\"}\n\n\
                  {\"id\": \"bo\", \"name\": \"Bo\", \"phone\": \"12\"}\n\
                  not json\r\n\
                  {\"id\": \"cy\", \"name\": \"Cy\"}";
    let key = dev.cloud.ready().admin_key.clone();
    let ran = run_with(&dev, &key, &["recipients", "import", "-"], people).await;
    assert_eq!(ran.code, Some(1));
    let lines: Vec<&str> = ran.text.lines().collect();
    assert_eq!((lines.len(), lines[2]), (3, "2 created, 0 updated, 2 failed"), "{}", ran.text);
    assert!(lines[0].starts_with("line 3: /phone: ") && lines[1].starts_with("line 4: "), "{}", ran.text);
    // More than one request takes, from a file; the numbers are those of the file.
    let file = std::env::temp_dir().join(format!("carillon-import-{}", std::process::id()));
    let mut many: Vec<String> =
        (1..=1_500).map(|i| json!({"id": format!("p-{i}"), "name": "P"}).to_string()).collect();
    many[1_399] = "{}".to_owned();
    std::fs::write(&file, many.join("\n")).unwrap();
    let (code, report) = run_json(&dev, &["recipients", "import", file.to_str().unwrap()]).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!((code, &report["created"], &report["failed"]), (Some(1), &json!(1_499), &json!(1)));
    assert_eq!(report["failed_lines"][0]["line"], 1_400);
    assert_eq!(run(&dev, &["recipients", "import", "no-such-file"]).await.code, Some(1));
    let normalised = run(&dev, &["recipients", "normalise", "--dry-run"]).await;
    assert_eq!(
        (normalised.code, normalised.text.as_str()),
        (Some(0), "0 recipients would be changed, 1501 unchanged, 0 impossible\n")
    );
    // So many are a job, which the command follows; without a terminal it says so in a line.
    assert!(normalised.complaint.starts_with("normalising: job "), "{}", normalised.complaint);
    let (code, report) = run_json(&dev, &["recipients", "normalise"]).await;
    assert_eq!((code, report), (Some(0), json!({"changed": 0, "unchanged": 1_501, "impossible": []})));
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_who_was_told_and_why_not() {
    let dev = Dev::start().await;
    dev.with_an_order_route().await;
    let ada = json!({"name": "Ada", "email": "ada@example.com"});
    dev.admin.put("/v1/recipients/ada", &ada).await;
    let id = dev.post_settled(&json!({"type": "order.created", "data": {"number": "1"}})).await;
    let told = run(&dev, &["explain", &id]).await;
    assert_eq!(told.code, Some(0));
    assert!(told.text.starts_with("AT "), "{}", told.text);
    let skipped = |line: &str| ["ada", "whatsapp", "skipped"].iter().all(|word| line.contains(word));
    assert!(told.text.lines().any(skipped), "{}", told.text);
    let (_, only) = run_json(&dev, &["explain", &id, "--recipient", "nobody"]).await;
    let decisions = only["decisions"].as_array().unwrap();
    assert!(decisions.iter().any(|d| d["outcome"] == "not addressed"), "{only}");
    assert_eq!(run(&dev, &["explain", "no-such-event"]).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_template_of_a_pack_is_shown_with_its_samples_r27_r28() {
    let dev = Dev::start().await;
    let none = run(&dev, &["test-templates"]).await;
    assert_eq!((none.code, none.complaint.contains("carillon templates load")), (Some(1), true), "{none:?}");
    run(&dev, &["templates", "load", "--pack", "loans"]).await;
    let shown = run(&dev, &["test-templates"]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert_eq!(shown.last_line(), "7 templates: 21 messages rendered (7 email, 14 whatsapp), 0 failed");
    let missing = run(&dev, &["test-templates", "--pack", "exams"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.text.contains("template missing; carillon templates load --pack exams"),
        "{}",
        missing.text
    );
    assert!(dev.outbox().await.is_empty());
}
