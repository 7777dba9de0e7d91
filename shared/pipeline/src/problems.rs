//! The life of a problem: opened by a check that fails or by somebody who reports it, changed while it lasts, over by itself
//! or by hand. Admins hear of its opening, of its worsening and of its end: each by one event under an id of its own, so that
//! no run tells twice. The change is stored before it is told, and what was not told is told by the next run.

use std::collections::BTreeSet;

use carillon_domain::health::{Finding, Severity};
use carillon_domain::parse::from_value;
use carillon_domain::{Channel, FieldError, Principal, Problem, ProblemKind, TemplateName, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Pipeline;
use crate::failure_notices::{SOURCE, ourselves};
use crate::health::Watched;
use crate::ports::StoreError;
use crate::store::problems::{ProblemChange, StoredProblem, Turn};

/// The template of whoever has no route for what is told; a tenant may publish other words under its name.
const TEMPLATE: &str = "system_problem";

/// What a person reports.
#[derive(Debug, Deserialize)]
struct Report {
    title: String,
    detail: Option<String>,
    severity: Severity,
}

impl Report {
    fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let fits = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
        if !fits(&self.title, 200) || self.title.chars().any(char::is_control) {
            faults.push(FieldError::new("/title", "must be one line of 1 to 200 characters"));
        }
        if self.detail.as_ref().is_some_and(|detail| !fits(detail, 4_000)) {
            faults.push(FieldError::new("/detail", "must have 1 to 4000 characters"));
        }
        if self.severity == Severity::Ok {
            faults.push(FieldError::new("/severity", "must be info, warning or critical"));
        }
        faults
    }
}

impl Pipeline {
    /// Brings a tenant's problems up to what was found.
    pub(crate) async fn follow(
        &self,
        tenant: &TenantId,
        findings: &[Finding],
    ) -> Result<Watched, StoreError> {
        let mut marked = self.marked_problems(tenant).await?;
        let mut watched = Watched::default();
        // What an earlier run could not tell comes first; it also makes room for a new problem.
        let over: Vec<String> =
            marked.values().filter(|p| p.resolved_at.is_some()).map(|p| p.key.clone()).collect();
        for key in over {
            if let Some(mut problem) = marked.remove(&key) {
                self.tell_and_unmark(tenant, &mut problem).await?;
            }
        }
        for problem in marked.values_mut() {
            self.tell_turns(tenant, problem).await?;
        }
        for finding in findings {
            match (marked.get_mut(&finding.key()), finding.severity) {
                (None, Some(severity)) if severity > Severity::Ok => {
                    watched.opened += u32::from(self.open(tenant, finding, severity).await?);
                    watched.open += 1;
                }
                (Some(problem), Some(Severity::Ok)) => {
                    watched.resolved +=
                        u32::from(self.end_problem(tenant, problem, &finding.text, None).await?);
                }
                (Some(problem), Some(severity)) => {
                    self.update(tenant, problem, finding, severity).await?;
                    watched.open += 1;
                }
                (Some(_), None) => watched.open += 1,
                (None, _) => {}
            }
        }
        // Nothing says anything about these any more, such as of credits that were taken away.
        let known: BTreeSet<String> = findings.iter().map(Finding::key).collect();
        for problem in marked.values_mut().filter(|p| p.check.is_some() && !known.contains(&p.key)) {
            let text = "It is not checked any more.";
            watched.resolved += u32::from(self.end_problem(tenant, problem, text, None).await?);
        }
        Ok(watched)
    }

    async fn open(
        &self,
        tenant: &TenantId,
        finding: &Finding,
        severity: Severity,
    ) -> Result<bool, StoreError> {
        let mut problem = StoredProblem {
            check: Some(finding.check),
            channel: finding.channel,
            value: Some(finding.value),
            threshold: Some(finding.threshold),
            broken: finding.broken.clone(),
            ..StoredProblem::opened(finding.key(), finding.text.clone(), severity, self.now())
        };
        self.put_opened(tenant, &mut problem).await
    }

    async fn put_opened(&self, tenant: &TenantId, problem: &mut StoredProblem) -> Result<bool, StoreError> {
        let new = self.open_problem(tenant, problem).await?;
        if new {
            tracing::warn!(tenant.id = %tenant, problem.id = %problem.id, problem.severity = problem.severity.as_str(), "a problem was opened");
            self.tell_turns(tenant, problem).await?;
        }
        Ok(new)
    }

    async fn update(
        &self,
        tenant: &TenantId,
        problem: &mut StoredProblem,
        finding: &Finding,
        severity: Severity,
    ) -> Result<(), StoreError> {
        if problem.title == finding.text && problem.severity == severity && problem.broken == finding.broken {
            return Ok(());
        }
        let now = self.now();
        let before = std::mem::replace(&mut problem.severity, severity);
        problem.title.clone_from(&finding.text);
        (problem.value, problem.threshold) = (Some(finding.value), Some(finding.threshold));
        problem.broken.clone_from(&finding.broken);
        problem.changed_at = now;
        if severity > problem.worst {
            problem.worst = severity;
            problem.turn(Turn::Worsened, now);
        } else if severity != before {
            problem.turn(Turn::Changed, now);
        }
        // Overtaken: another run says the same.
        if self.save_problem(tenant, problem).await? {
            self.tell_turns(tenant, problem).await?;
        }
        Ok(())
    }

    /// Ends a problem. Answers whether it was open until now.
    async fn end_problem(
        &self,
        tenant: &TenantId,
        problem: &mut StoredProblem,
        text: &str,
        by: Option<&str>,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        problem.resolved_at = Some(now);
        problem.resolved_by = by.map(str::to_owned);
        problem.turn(Turn::Resolved, now);
        if let Some(last) = problem.history.last_mut() {
            text.clone_into(&mut last.text);
        }
        if !self.save_problem(tenant, problem).await? {
            return Ok(false);
        }
        tracing::info!(tenant.id = %tenant, problem.id = %problem.id, "a problem is over");
        self.tell_and_unmark(tenant, problem).await?;
        Ok(true)
    }

    async fn tell_and_unmark(
        &self,
        tenant: &TenantId,
        problem: &mut StoredProblem,
    ) -> Result<(), StoreError> {
        self.tell_turns(tenant, problem).await?;
        self.unmark_problem(tenant, problem).await
    }

    /// Tells of what happened to a problem since somebody was last told.
    async fn tell_turns(&self, tenant: &TenantId, problem: &mut StoredProblem) -> Result<(), StoreError> {
        if problem.told >= problem.history.len() {
            return Ok(());
        }
        for (n, change) in problem.history.iter().enumerate().skip(problem.told) {
            if let Some(event_type) = event_type(change.what) {
                self.tell_turn(tenant, problem, n, change, event_type).await?;
            }
        }
        problem.told = problem.history.len();
        // Overtaken: then somebody else tells the same, which makes the same events.
        self.save_problem(tenant, problem).await.map(drop)
    }

    async fn tell_turn(
        &self,
        tenant: &TenantId,
        problem: &StoredProblem,
        n: usize,
        change: &ProblemChange,
        event_type: &str,
    ) -> Result<(), StoreError> {
        let mut body = json!({
            "type": event_type, "source": SOURCE, "id": format!("problem-{}-{n}", problem.id), "subject": problem.id,
            "category": "system", "priority": priority(change),
            "recipients": {"ids": self.admins(tenant).await?},
            "data": {
                "problem_id": problem.id, "what": change.what, "title": problem.history[0].text, "now": change.text,
                "detail": problem.detail, "severity": change.severity, "check": problem.check,
                "channel": problem.channel, "opened_at": problem.opened_at, "at": change.at,
            },
        });
        let known = event_type.parse().ok();
        let route = match &known {
            Some(event_type) => self.route(tenant, event_type).await?,
            None => None,
        };
        let carried = |route: &carillon_domain::Route| {
            route.channels.channels().iter().all(|channel| !problem.broken.contains(channel))
        };
        // A tenant's own route has the word, unless it goes by a channel that the problem is about.
        if !route.as_deref().is_some_and(carried) {
            let name = self.problem_template(tenant).await?;
            body["template"] = json!(name);
            body["channels"] = json!(carriers(&problem.broken));
        }
        match self.accept(&ourselves(tenant), body, None).await {
            Ok(accepted) => {
                tracing::info!(tenant.id = %tenant, problem.id = %problem.id, event.id = %accepted.event_id, "admins are told");
                Ok(())
            }
            Err(problem) if problem.kind == ProblemKind::Unavailable => {
                Err(StoreError::Unavailable(problem.detail))
            }
            Err(refused) => {
                // Such as a tenant without admins: trying again helps nobody, and the problem is listed all the same.
                tracing::error!(tenant.id = %tenant, problem.id = %problem.id, problem = %refused.detail, "nobody could be told of a problem");
                Ok(())
            }
        }
    }

    /// The template of those without a route, which is made when it is first needed.
    async fn problem_template(&self, tenant: &TenantId) -> Result<TemplateName, StoreError> {
        let refused = |what: String| StoreError::Refused(what);
        let name: TemplateName = TEMPLATE.parse().map_err(|_| refused(format!("the template {TEMPLATE}")))?;
        if self.published_template(tenant, &name).await?.is_none() {
            let template =
                from_value(words()).map_err(|faults| refused(format!("{TEMPLATE}: {faults:?}")))?;
            self.put_template(tenant, &name, &template, true).await?;
        }
        Ok(name)
    }

    /// A problem that somebody reports. Admins are told.
    ///
    /// # Errors
    /// 422 for what cannot be.
    pub async fn report_problem(&self, caller: &Principal, body: Value) -> Result<Value, Problem> {
        let report: Report = from_value(body)?;
        let faults = report.faults();
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let key = format!("reported-{}", self.random_owner());
        let mut problem = StoredProblem {
            detail: report.detail,
            ..StoredProblem::opened(key, report.title, report.severity, self.now())
        };
        self.put_opened(&caller.tenant, &mut problem).await?;
        Ok(view(&problem))
    }

    /// Ends a problem by hand. What a check still finds is opened again by the next run.
    ///
    /// # Errors
    /// 404 without such a problem, 409 when it is over already.
    pub async fn resolve_problem(&self, caller: &Principal, id: &str) -> Result<Value, Problem> {
        let tenant = &caller.tenant;
        let found = self.stored_problem(tenant, id).await?;
        let mut problem = found.ok_or_else(|| Problem::not_found("problem", id))?;
        if problem.resolved_at.is_some() {
            return Err(Problem::new(ProblemKind::Conflict, "The problem is resolved already."));
        }
        let ended =
            self.end_problem(tenant, &mut problem, "It was resolved by hand.", Some(&caller.key_id)).await?;
        if ended { Ok(view(&problem)) } else { Err(StoreError::Conflict(None).into()) }
    }

    /// A page of a tenant's problems, the newest first, and where the next begins.
    ///
    /// # Errors
    /// 400 for a cursor that is none.
    pub async fn problems_view(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<String>,
    ) -> Result<(Vec<Value>, Option<String>), Problem> {
        let (problems, next) = self.problems(tenant, limit, after).await?;
        Ok((problems.iter().map(view).collect(), next))
    }
}

/// The event that tells of it; none for what nobody is told.
fn event_type(what: Turn) -> Option<&'static str> {
    match what {
        Turn::Opened => Some("system.problem_opened"),
        Turn::Worsened => Some("system.problem_worsened"),
        Turn::Resolved => Some("system.problem_resolved"),
        Turn::Changed => None,
    }
}

fn priority(change: &ProblemChange) -> &'static str {
    match (change.what, change.severity) {
        (Turn::Resolved, _) | (_, Severity::Warning) => "normal",
        (_, Severity::Critical) => "critical",
        (_, Severity::Ok | Severity::Info) => "low",
    }
}

/// The channels that tell of a problem: the feed and mail; in place of mail that does not go, WhatsApp.
fn carriers(broken: &[Channel]) -> Vec<Channel> {
    let usual = if broken.contains(&Channel::Email) { Channel::Whatsapp } else { Channel::Email };
    let others = [usual].into_iter().filter(|channel| !broken.contains(channel));
    [Channel::InApp].into_iter().chain(others).collect()
}

fn words() -> Value {
    let over = "data.what == \"resolved\"";
    let line = format!("{{% if {over} %}}Resolved: {{% endif %}}{{{{ data.title }}}}");
    let said = format!(
        "{{% if {over} %}}This problem is over. {{{{ data.now }}}}{{% else %}}Severity: {{{{ data.severity }}}}. Since: {{{{ data.opened_at }}}}.\
         {{% if data.what == \"worsened\" %}} It has become worse: {{{{ data.now }}}}{{% endif %}}\
         {{% if data.detail %}} {{{{ data.detail }}}}{{% endif %}}{{% endif %}}"
    );
    json!({"locales": {"en": {
        "in_app": {"title": line, "body": said},
        "email": {
            "subject": line,
            "html": format!("<p>Hello {{{{ recipient.name }}}},</p><p><strong>{line}</strong></p><p>{said}</p><p>You receive this message because you are an administrator.</p>"),
        },
        "whatsapp": {"text": format!("{line}\n{said}"), "window_only": true},
    }}})
}

fn view(problem: &StoredProblem) -> Value {
    let mut view = json!({
        "id": problem.id,
        "title": problem.title,
        "severity": problem.severity,
        "state": if problem.resolved_at.is_some() { "resolved" } else { "open" },
        "opened_at": problem.opened_at,
        "changed_at": problem.changed_at,
        "history": problem.history,
    });
    let optional = [
        ("detail", json!(problem.detail)),
        ("check", json!(problem.check)),
        ("channel", json!(problem.channel)),
        ("value", json!(problem.value)),
        ("threshold", json!(problem.threshold)),
        ("resolved_at", json!(problem.resolved_at)),
        ("resolved_by", json!(problem.resolved_by)),
    ];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
        view[name] = value;
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I23, E14: what is wrong with a channel is told by another one.
    #[test]
    fn a_problem_with_a_channel_is_told_through_another() {
        use Channel::{Email, InApp, Whatsapp};
        for (broken, carriers_of_it) in [
            (vec![], vec![InApp, Email]),
            (vec![Whatsapp], vec![InApp, Email]),
            (vec![Email], vec![InApp, Whatsapp]),
            (vec![Email, Whatsapp], vec![InApp]),
        ] {
            assert_eq!(carriers(&broken), carriers_of_it);
        }
    }

    #[test]
    fn the_words_of_a_problem_are_a_template() {
        let template: carillon_domain::Template = from_value(words()).unwrap();
        assert!(template.faults().is_empty(), "{:?}", template.faults());
    }
}
