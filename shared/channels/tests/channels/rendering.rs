//! The renderer: what a template may do, what stops it, and what its errors say.

use carillon_channels::MinijinjaRenderer;
use carillon_domain::rendered::RenderedParameters;
use carillon_domain::{Channel, Rendered, Template, TemplateVersion};
use carillon_pipeline::ports::{RenderError, RenderJob, Renderer};
use serde_json::{Value, json};

fn render_in(
    parts: &Value,
    channel: Channel,
    window_open: bool,
    context: &Value,
) -> Result<Rendered, RenderError> {
    let template = json!({"name": "t", "version": 1, "template": {"locales": {"en": parts}}});
    let template: TemplateVersion = serde_json::from_value(template).unwrap();
    let job = RenderJob { tenant: "acme", template: &template, locale: "en", channel, window_open, context };
    MinijinjaRenderer::new().render(&job)
}

fn in_app_in(locale: &str, body: &str, context: &Value) -> Result<String, RenderError> {
    let locales = json!({locale: {"in_app": {"title": "t", "body": body}}});
    let template = json!({"name": "t", "version": 1, "template": {"locales": locales}});
    let template: TemplateVersion = serde_json::from_value(template).unwrap();
    let channel = Channel::InApp;
    let job = RenderJob { tenant: "acme", template: &template, locale, channel, window_open: false, context };
    match MinijinjaRenderer::new().render(&job)? {
        Rendered::InApp { body, .. } => Ok(body),
        other => panic!("{other:?}"),
    }
}

fn email(html: &str, context: &Value) -> Result<(String, String), RenderError> {
    let parts = json!({"email": {"subject": "About {{ data.name }}", "html": html}});
    match render_in(&parts, Channel::Email, false, context)? {
        Rendered::Email { html, text, .. } => Ok((html, text)),
        other => panic!("{other:?}"),
    }
}

fn whatsapp(part: &Value, window_open: bool, context: &Value) -> Result<Rendered, RenderError> {
    render_in(&json!({ "whatsapp": part }), Channel::Whatsapp, window_open, context)
}

fn in_app(body: &str, context: &Value) -> Result<String, RenderError> {
    let parts = json!({"in_app": {"title": "t", "body": body}});
    match render_in(&parts, Channel::InApp, false, context)? {
        Rendered::InApp { body, .. } => Ok(body),
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_is_escaped_in_html_and_nowhere_else() {
    let context = json!({"data": {"name": "<script>alert('1') & \"2\"</script>"}});
    let (html, text) = email("<p>{{ data.name }}</p>", &context).unwrap();
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");
    assert_eq!(text, "<script>alert('1') & \"2\"</script>");
    assert_eq!(in_app("{{ data.name }}", &context).unwrap(), context["data"]["name"].as_str().unwrap());
}

#[test]
fn an_undefined_variable_is_an_error_that_names_it_and_shows_no_data() {
    let context = json!({"data": {"name": "Ada Secret", "n": "5 Secret"}});
    for (body, says) in [
        ("Hi {{ data.name }},\n{{ data.order_number }}", "line 2: `data.order_number` is undefined"),
        ("{{ recipient.name }}", "`recipient"),
        ("{{ data.customer.name }}", "`data.customer` is undefined"),
        ("{% if data.vip %}x{% endif %}", "`data.vip` is undefined"),
        ("{% for x in data.items2 %}x{% endfor %}", "`data.items2` is undefined"),
        ("{{ data.order | upper }}", "data.order"),
        ("{{ data.name ~ data.order }}", "data.order"),
        ("{{ data.name - 1 }}", "data.name - 1"),
        ("{{ data.n | int }}", "at `int`"),
        ("{{ data.name.shout() }}", "unknown method at `.shout()`"),
    ] {
        let error = in_app(body, &context).unwrap_err();
        assert_eq!(error.part, "/in_app/body");
        assert!(error.detail.contains(says), "{body}: {}", error.detail);
        assert!(!error.detail.contains("Secret"), "{body}: {}", error.detail);
    }
    assert_eq!(in_app("{{ data.order | default('none') }}", &context).unwrap(), "none");
}

#[test]
fn amounts_times_and_counts_speak_the_language_of_the_templates_locale() {
    let context = json!({
        "data": {"total": 1234.5, "text": "0.105", "due_at": "2026-11-20T16:30:00Z", "day": "2026-12-01", "n": 0},
        "recipient": {"time_zone": "Europe/Paris"},
    });
    for (locale, body, is) in [
        ("en", "{{ data.total | money('USD') }}", "$1,234.50"),
        ("en-GB", "{{ data.text | money('EUR') }}", "€0.10"),
        ("fr", "{{ data.total | money('EUR') }}", "1\u{202f}234,50\u{a0}€"),
        ("fr-CA", "{{ 3 | money('CAD') }}", "3,00\u{a0}$CA"),
        ("en-GB", "{{ data.due_at | date }}", "20 November 2026"),
        ("fr", "{{ data.due_at | date('datetime') }}", "20 novembre 2026 à 17:30"),
        ("fr", "{{ data.day | date }}", "1er décembre 2026"),
        ("de", "{{ data.due_at | date('datetime') }}", "2026-11-20 17:30"),
        ("en", "{{ data.due_at | date('%d/%m %H:%M') }}", "20/11 17:30"),
        ("en", "{{ data.n }} {{ data.n | plural('book', 'books') }}", "0 books"),
        ("fr", "{{ data.n }} {{ data.n | plural('livre', 'livres') }}", "0 livre"),
    ] {
        assert_eq!(in_app_in(locale, body, &context).unwrap(), is, "{locale}: {body}");
    }
    let nowhere = json!({"data": {"due_at": "2026-11-20T16:30:00Z"}});
    assert_eq!(in_app("{{ data.due_at | date('time') }}", &nowhere).unwrap(), "4:30\u{a0}PM");
}

#[test]
fn a_filter_that_has_no_answer_says_what_it_needs_and_shows_no_data() {
    let context = json!({"data": {"name": "Ada Secret", "list": ["Secret"], "none": null}});
    for (body, says) in [
        (
            "{{ data.name | money('EUR') }}",
            "line 1: is not a number; write it like 1234.50 at `money('EUR')`",
        ),
        ("{{ 5 | money(data.name) }}", "needs a currency code of three letters, such as EUR"),
        ("{{ data.list | money('EUR') }}", "needs a text or a number"),
        ("{{ data.none | money('EUR') }}", "needs a text or a number"),
        ("{{ data.name | date }}", "is neither a date like 2026-11-20 nor a time with its offset"),
        ("{{ '2026-11-20' | date(data.name) }}", "knows the styles short, long, time and datetime"),
        ("{{ data.name | plural('a', 'b') }}", "is not a number"),
        ("{{ data.missing | money('EUR') }}", "`data.missing` is undefined"),
        ("{{ data.missing | date }}", "`data.missing` is undefined"),
        ("{{ 1 | plural('a') }}", "missing argument"),
    ] {
        let error = in_app(body, &context).unwrap_err();
        assert!(error.detail.contains(says), "{body}: {}", error.detail);
        assert!(!error.detail.contains("Secret"), "{body}: {}", error.detail);
    }
}

#[test]
fn style_blocks_of_an_email_move_into_its_elements() {
    let head = "<style>td { padding: 4px } .{{ data.name }} { color: red } @media print { td { color: red } }</style>";
    let html =
        head.to_owned() + "<table>{% for n in data.rows %}<tr><td>{{ n }}</td></tr>{% endfor %}</table>";
    let context = json!({"data": {"name": "Ada", "rows": ["a & b", 2]}});
    let (html, text) = email(&html, &context).unwrap();
    assert!(html.contains("<td style=\"padding: 4px;\">a &amp; b</td>"), "{html}");
    assert_eq!(html.matches("padding: 4px;").count(), 2, "{html}");
    assert!(html.contains("@media print { td { color: red } }"), "{html}");
    assert_eq!(text, "a & b\n2");
    let error =
        email("<style>p{margin:0}</style>{% for n in range(500) %}<div>{% endfor %}", &context).unwrap_err();
    assert_eq!(error.part, "/email/html");
}

#[test]
fn a_template_that_does_not_parse_is_pointed_at() {
    let template: Template = serde_json::from_value(json!({"locales": {"en": {
        "whatsapp": {"text": "{{ data.x", "template": {"name": "t", "language": "en", "parameters": ["ok", "{{ }}"]}},
        "email": {"subject": "{% if %}", "html": "<p>\n{{ data.x | nosuch }}</p>", "text": "{% include 'secrets' %}"},
        "in_app": {"title": "{{ data.x.y[0] | upper }}", "body": "{% for a in data.list %}{{ a }}{% endfor %}",
            "action_url": "{{ nosuch() }}"},
    }, "fr": {"whatsapp": {"template": {"name": "t", "language": "fr", "parameters": {"a/b": "{{ x y }}"}}}}}}))
    .unwrap();
    let faults = MinijinjaRenderer::new().faults(&template);
    let pointers: Vec<&str> = faults.iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/locales/en/whatsapp/text",
            "/locales/en/whatsapp/template/parameters/1",
            "/locales/en/email/subject",
            "/locales/en/email/html",
            "/locales/en/email/text",
            "/locales/fr/whatsapp/template/parameters/a~1b",
        ]
    );
    for (fault, says) in
        [(0, "line 1: syntax error: "), (3, "line 2: unknown filter: filter nosuch is unknown")]
    {
        assert!(faults[fault].detail.starts_with(says), "{}", faults[fault].detail);
    }
}

#[test]
fn checking_a_template_ends_whatever_it_does_with_its_data() {
    let body = "{{ data }}{{ data.a | tojson }}{{ data == event }}{{ [data, event] | sort | unique | list }}\
        {% for a in data recursive %}{{ loop(a) }}{% endfor %}{{ data | string | length }}";
    let template = json!({"locales": {"en": {"in_app": {"title": "t", "body": body}}}});
    assert_eq!(MinijinjaRenderer::new().faults(&serde_json::from_value(template).unwrap()), []);
}

#[test]
fn a_table_of_a_thousand_rows_is_within_the_bounds() {
    let rows: Vec<Value> =
        (0..1_000).map(|n| json!({"a": n, "b": "b", "c": "c", "d": "d", "e": "e"})).collect();
    let row = "{% for r in data.rows %}{{ r.a }} {{ r.b }} {{ r.c }} {{ r.d }} {{ r.e }} {% endfor %}";
    let context = json!({"data": {"name": "n", "rows": rows}});
    assert!(email(row, &context).is_ok());
}

#[test]
fn a_template_cannot_run_away() {
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    for (body, says) in [
        (
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
            "too many steps",
        ),
        ("{% for a in range(2000) %}{{ 'x' * 1000 }}{% endfor %}", "longer than 1048576 bytes"),
        ("{{ 'x' * 1000000000000 }}", "invalid operation"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "invalid operation"),
        (nested.as_str(), "syntax error"),
        ("{% include '/in_app/title' ~ 's' %}", "template not found"),
        ("{{ 'x' | indent(1000000000) }}", "filter indent is unknown"),
        ("{{ debug() }}", "function"),
        (
            "{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
            "function",
        ),
    ] {
        let error = in_app(body, &json!({})).unwrap_err();
        assert!(error.detail.contains(says), "{:.80}: {}", body, error.detail);
    }
}

#[test]
fn outside_the_window_only_the_approved_template_is_sent() {
    let context = json!({"data": {"name": "Ada"}});
    let approved = json!({"name": "hello", "language": "en", "parameters": {"who": "{{ data.name }}"}});
    let both = json!({"text": "Hi {{ data.name }}", "template": approved});
    assert_eq!(whatsapp(&both, true, &context), Ok(Rendered::WhatsappText { body: "Hi Ada".to_owned() }));
    let template = Ok(Rendered::WhatsappTemplate {
        name: "hello".to_owned(),
        language: "en".to_owned(),
        parameters: RenderedParameters::Named([("who".to_owned(), "Ada".to_owned())].into()),
        acknowledge_button: None,
    });
    assert_eq!(whatsapp(&both, false, &context), template);
    assert_eq!(whatsapp(&json!({ "template": approved }), true, &context), template);
    let error = whatsapp(&json!({"text": "Hi", "window_only": true}), false, &context).unwrap_err();
    assert_eq!(error.part, "/whatsapp");
    assert!(error.detail.contains("window is closed"), "{}", error.detail);
}

#[test]
fn a_parameter_that_meta_would_refuse_is_named() {
    let template = json!({"name": "t", "language": "en", "parameters": ["ok", "{{ data.text }}"]});
    for text in ["two\nlines", "a\rb", "a\tb", "", "   ", "a     b"] {
        let error =
            whatsapp(&json!({ "template": template }), false, &json!({"data": {"text": text}})).unwrap_err();
        assert_eq!(error.part, "/whatsapp/template/parameters/1", "{text:?}");
    }
    whatsapp(&json!({ "template": template }), false, &json!({"data": {"text": "a    b"}})).unwrap();
}

#[test]
fn a_whatsapp_text_has_1_to_4096_characters() {
    let text = json!({"text": "{{ data.text }}", "window_only": true});
    for (body, sent) in [("é".repeat(4_096), true), ("é".repeat(4_097), false), (" \n".to_owned(), false)] {
        assert_eq!(whatsapp(&text, true, &json!({"data": {"text": body}})).is_ok(), sent);
    }
}

#[test]
fn a_line_break_in_the_data_cannot_write_a_header() {
    let error = email("<p>x</p>", &json!({"data": {"name": "x\r\nBcc: b@example.com"}})).unwrap_err();
    assert_eq!(error.part, "/email/subject");
}

#[test]
fn a_channel_or_locale_that_the_template_lacks_is_an_error() {
    let parts = json!({"in_app": {"title": "t", "body": "b"}});
    let error = render_in(&parts, Channel::Email, false, &json!({})).unwrap_err();
    assert_eq!(
        (error.part.as_str(), error.detail.as_str()),
        ("/email", "the template has no part for this channel")
    );
}

#[test]
fn a_message_that_no_queue_takes_is_refused() {
    let context = json!({"data": {"name": "\"".repeat(600_000)}});
    let parts = json!({"email": {"subject": "s", "html": "<p>x</p>", "text": "{{ data.name }}"}});
    let error = render_in(&parts, Channel::Email, false, &context).unwrap_err();
    assert_eq!(error.part, "/email");
}

#[test]
fn conditions_are_expressions_in_which_undefined_is_false() {
    let renderer = MinijinjaRenderer::new();
    let context = json!({"data": {"total": 120.5, "vip": true, "status": "paid", "tags": ["a"]}, "event": {"type": "x"}});
    for (expression, holds) in [
        ("data.total > 100", true),
        ("data.total > 200 or data.vip", true),
        ("data.status == 'paid' and not data.cancelled", true),
        ("data.customer.vip", false),
        ("data.customer.vip or data.vip", true),
        ("data.missing > 100", false),
        ("nothing.at.all == 1", false),
        ("'a' in data.tags", true),
        ("event.type == 'x'", true),
        ("data.missing", false),
    ] {
        assert_eq!(renderer.condition(expression, &context), Ok(holds), "{expression}");
        assert_eq!(renderer.condition_fault(expression), Ok(()), "{expression}");
    }
    for bad in ["data.total >", "", "{{ data.vip }}", "a b"] {
        assert!(renderer.condition_fault(bad).is_err(), "{bad:?}");
    }
    assert_eq!(renderer.condition("data.status - 1", &context).unwrap_err().part, "/when");
}
