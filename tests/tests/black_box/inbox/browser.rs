//! The feed in a web page: which origins may read it, and the component that shows it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use carillon_tests::Dev;
use serde_json::json;

use super::{asked, shop, tell, without_key};

const APP: &str = "https://app.example.com";

async fn with_app(dev: Dev) -> Dev {
    let dev = shop(dev).await;
    let named = dev.admin.put("/v1/system/settings", &json!({"inbox_origins": [APP]})).await;
    assert_eq!((named.status, &named.body["inbox_origins"]), (200, &json!([APP])), "{named:?}");
    dev
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn preflight(dev: &Dev, path: &str, origin: &str) -> reqwest::Response {
    let asks = [("origin", origin), ("access-control-request-method", "GET")];
    without_key(dev, "OPTIONS", path, &asks).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_without_a_key_for_an_origin_that_a_tenant_names() {
    let dev = with_app(Dev::start().await).await;
    for (path, methods) in [
        ("/v1/inbox", "GET"),
        ("/v1/inbox/recent", "GET"),
        ("/v1/inbox/read-all", "POST"),
        ("/v1/recipients/una/preferences", "GET, PUT"),
    ] {
        let allowed = preflight(&dev, path, APP).await;
        assert_eq!(
            (allowed.status().as_u16(), header(&allowed, "access-control-allow-origin")),
            (204, Some(APP))
        );
        assert_eq!(header(&allowed, "access-control-allow-methods"), Some(methods), "{path}");
        let headers = header(&allowed, "access-control-allow-headers").unwrap();
        assert_eq!(headers, "authorization, if-none-match, content-type");
        assert_eq!(header(&allowed, "access-control-allow-credentials"), None);
        assert_eq!(header(&allowed, "vary"), Some("origin"));
    }
    for origin in
        ["https://evil.example.com", "http://app.example.com", "null", "https://app.example.com:8443"]
    {
        let refused = preflight(&dev, "/v1/inbox", origin).await;
        assert!(
            !refused.headers().keys().any(|name| name.as_str().starts_with("access-control")),
            "{origin}"
        );
    }
    for path in ["/v1/events", "/v1/recipients/una", "/v1/recipients/una/token", "/api/notifications/recent/"]
    {
        let refused = preflight(&dev, path, APP).await;
        assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-origin")), (405, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_answers_of_the_tenant_that_names_it_only_and_sees_the_tag() {
    let dev = with_app(Dev::start().await).await;
    tell(&dev, "order.created", 1, "normal").await;
    let from = [("origin", APP)];
    let path = "/v1/inbox/recent?recipient=una";
    let shown = asked(&dev, "GET", path, &from).await;
    assert_eq!((shown.status().as_u16(), header(&shown, "access-control-allow-origin")), (200, Some(APP)));
    assert_eq!(header(&shown, "access-control-expose-headers"), Some("etag"));
    let tag = header(&shown, "etag").unwrap().to_owned();
    let same = asked(&dev, "GET", path, &[from[0], ("if-none-match", &tag)]).await;
    assert_eq!((same.status().as_u16(), header(&same, "access-control-allow-origin")), (304, Some(APP)));
    let over = without_key(&dev, "GET", path, &[from[0], ("authorization", "Bearer crt_over")]).await;
    let readable = header(&over, "access-control-allow-origin");
    assert_eq!((over.status().as_u16(), readable), (401, Some(APP)), "a page sees that its token is over");
    let elsewhere = asked(&dev, "GET", path, &[("origin", "https://evil.example.com")]).await;
    assert_eq!((elsewhere.status().as_u16(), header(&elsewhere, "access-control-allow-origin")), (200, None));
    assert_eq!(header(&asked(&dev, "GET", "/v1/events", &from).await, "access-control-allow-origin"), None);

    let other = dev.cloud.add_tenant("other", "Other").await.unwrap();
    let other_key = format!("Bearer {}", other.admin_key);
    let theirs = without_key(&dev, "GET", path, &[from[0], ("authorization", &other_key)]).await;
    assert_eq!(header(&theirs, "access-control-allow-origin"), None, "the other tenant does not name it");

    let dropped = dev.admin.put("/v1/system/settings", &json!({"inbox_origins": []})).await;
    assert_eq!(dropped.status, 200);
    assert_eq!(header(&asked(&dev, "GET", path, &from).await, "access-control-allow-origin"), None);
    assert_eq!(header(&preflight(&dev, path, APP).await, "access-control-allow-origin"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_web_origin_is_refused_with_a_pointer() {
    let dev = Dev::start().await;
    for (origins, pointer) in [
        (json!(["https://app.example.com/"]), "/inbox_origins/0"),
        (json!([APP, "*"]), "/inbox_origins/1"),
        (json!(["http://app.example.com"]), "/inbox_origins/0"),
        (json!(vec![APP; 21]), "/inbox_origins"),
        (json!(APP), "/inbox_origins"),
    ] {
        let refused = dev.admin.put("/v1/system/settings", &json!({"inbox_origins": origins})).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{origins}");
    }
}

/// E22, E24: one file that any page may load, which needs nothing else and weighs less than 10 KB on its way.
#[tokio::test(flavor = "multi_thread")]
async fn the_component_is_one_small_script_without_dependencies() {
    let dev = Dev::start().await;
    let answer = without_key(&dev, "GET", "/carillon-inbox.js", &[]).await;
    assert_eq!(header(&answer, "content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(header(&answer, "cross-origin-resource-policy"), Some("cross-origin"));
    assert!(header(&answer, "cache-control").unwrap().contains("max-age"));
    let script = answer.text().await.unwrap();
    assert!(script.contains("customElements.define(\"carillon-inbox\""));
    for word in ["import ", "import(", "innerHTML", "eval(", "localStorage", "document.cookie"] {
        assert!(!script.contains(word), "{word}");
    }
    let packed = tokio::task::spawn_blocking(move || {
        let mut gzip =
            Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        gzip.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        gzip.wait_with_output().unwrap().stdout.len()
    });
    let bytes = packed.await.unwrap();
    assert!(bytes < 10_000, "{bytes} bytes");
}
