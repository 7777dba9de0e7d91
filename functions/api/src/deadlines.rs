//! Deadlines and reminder policies.

use carillon_domain::{PolicyName, Problem, ReminderPolicy};
use carillon_pipeline::Pipeline;
use carillon_pipeline::read_deadlines::DeadlineFilter;
use carillon_runtime::http::{Answer, Request};
use serde_json::{Value, json};

fn policy_json(name: &PolicyName, policy: &ReminderPolicy) -> Value {
    let mut view = json!(policy);
    view["name"] = json!(name);
    view
}

pub(crate) async fn put_policy(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, body) = (request.naming::<PolicyName>("policy")?, request.json(&[])?);
    let (new, policy) = pipeline.configure_reminder_policy(&request.caller()?.tenant, &name, body).await?;
    Ok(Answer::put(new, &policy_json(&name, &policy)))
}

pub(crate) async fn get_policy(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let name: PolicyName = request.part("policy")?;
    let found = pipeline.reminder_policy(&request.caller()?.tenant, &name).await?;
    let found = found.ok_or_else(|| Problem::not_found("reminder policy", &name))?;
    Ok(Answer::ok(&policy_json(&name, &found.policy)))
}

pub(crate) async fn delete_policy(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let name: PolicyName = request.part("policy")?;
    if pipeline.delete_reminder_policy(&request.caller()?.tenant, &name).await? {
        Ok(Answer::no_content())
    } else {
        Err(Problem::not_found("reminder policy", &name))
    }
}

pub(crate) async fn list_policies(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let (found, next) =
        pipeline.reminder_policies(&request.caller()?.tenant, window.limit, window.cursor).await?;
    let items: Vec<Value> = found.iter().map(|(name, found)| policy_json(name, &found.policy)).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn put(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, body) = (request.naming("deadline")?, request.json(&[])?);
    let (new, deadline) = pipeline.put_deadline(request.caller()?, &id, body).await?;
    Ok(Answer::put(new, &pipeline.view_of_deadline(&deadline)))
}

pub(crate) async fn get(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("deadline")?;
    let view = pipeline.deadline_view(&request.caller()?.tenant, &id).await?;
    view.map(|view| Answer::ok(&view)).ok_or_else(|| Problem::not_found("deadline", &id))
}

pub(crate) async fn close(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, body) = (request.part("deadline")?, request.json_or_nothing()?);
    let deadline = pipeline.close_deadline(request.caller()?, &id, body).await?;
    Ok(Answer::ok(&pipeline.view_of_deadline(&deadline)))
}

pub(crate) async fn list(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let filter = DeadlineFilter {
        state: request.query("state").map(str::to_owned),
        due_from: request.query_as("due_from")?,
        due_to: request.query_as("due_to")?,
    };
    let tenant = &request.caller()?.tenant;
    let (items, next) =
        pipeline.deadlines_view(tenant, &filter, window.limit, window.cursor.as_deref()).await?;
    Ok(Answer::list(&items, next.as_deref()))
}
