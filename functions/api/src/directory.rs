//! Recipients, groups and members.

use carillon_domain::{GroupName, Problem, Recipient, RecipientId};
use carillon_pipeline::Pipeline;
use carillon_pipeline::jobs::Worked;
use carillon_pipeline::store::directory::StoredRecipient;
use carillon_runtime::http::{Answer, Request};
use serde_json::{Value, json};

pub(crate) fn recipient_json(id: &RecipientId, recipient: &Recipient) -> Value {
    let mut view = json!(recipient);
    view["id"] = json!(id);
    view
}

pub(crate) async fn put_recipient(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, body) = (request.naming("recipient")?, request.json(&[])?);
    let (new, recipient) = pipeline.configure_recipient(&request.caller()?.tenant, &id, body).await?;
    Ok(Answer::put(new, &recipient_json(&id, &recipient)))
}

pub(crate) async fn get_recipient(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("recipient")?;
    let found = pipeline.recipient(&request.caller()?.tenant, &id).await?;
    found.map(|r| Answer::ok(&recipient_json(&id, &r))).ok_or_else(|| Problem::not_found("recipient", &id))
}

pub(crate) async fn delete_recipient(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (id, tenant) = (request.part("recipient")?, &request.caller()?.tenant);
    if request.query_as::<bool>("erase")?.unwrap_or_default() {
        return match pipeline.erase(tenant, &id).await? {
            Some(Worked::AtOnce(_)) => Ok(Answer::no_content()),
            Some(worked) => Ok(Answer::worked(worked)),
            None => Err(Problem::not_found("recipient", &id)),
        };
    }
    if pipeline.delete_recipient(tenant, &id).await? {
        Ok(Answer::no_content())
    } else {
        Err(Problem::not_found("recipient", &id))
    }
}

pub(crate) async fn export(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let id = request.part("recipient")?;
    let cursor = request.query("cursor").filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    let data = pipeline.export(&request.caller()?.tenant, &id, cursor).await?;
    data.map(|data| Answer::ok(&data)).ok_or_else(|| Problem::not_found("recipient", &id))
}

pub(crate) async fn list_recipients(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let tenant = &request.caller()?.tenant;
    let (found, next) = pipeline.list_recipients(tenant, window.limit, window.cursor.as_deref()).await?;
    let items: Vec<Value> = found.iter().map(|r| recipient_json(&r.id, &r.recipient)).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

async fn group_json(pipeline: &Pipeline, request: &Request, name: &GroupName) -> Result<Value, Problem> {
    let tenant = &request.caller()?.tenant;
    let group = pipeline.group(tenant, name).await?.ok_or_else(|| Problem::not_found("group", name))?;
    let count = pipeline.count_members(tenant, name).await?;
    Ok(json!({"name": name, "description": group.description, "member_count": count}))
}

pub(crate) async fn put_group(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, body) = (request.naming("group")?, request.json(&[])?);
    let new = pipeline.configure_group(&request.caller()?.tenant, &name, body).await?;
    Ok(Answer::put(new, &group_json(pipeline, request, &name).await?))
}

pub(crate) async fn get_group(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&group_json(pipeline, request, &request.part("group")?).await?))
}

pub(crate) async fn delete_group(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let name = request.part("group")?;
    if pipeline.delete_group(&request.caller()?.tenant, &name).await? {
        Ok(Answer::no_content())
    } else {
        Err(Problem::not_found("group", &name))
    }
}

pub(crate) async fn list_groups(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let window = request.window()?;
    let (groups, next) = pipeline.groups(&request.caller()?.tenant, window.limit, window.cursor).await?;
    let mut items = Vec::with_capacity(groups.len());
    for (name, _) in groups {
        items.push(group_json(pipeline, request, &name).await?);
    }
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn list_members(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, window, tenant) = (request.part("group")?, request.window()?, &request.caller()?.tenant);
    if pipeline.group(tenant, &name).await?.is_none() {
        return Err(Problem::not_found("group", &name));
    }
    let (ids, next) = pipeline.members(tenant, &name, window.limit, window.cursor).await?;
    let found = pipeline.recipients(tenant, &ids).await?;
    let named = |(id, (_, r)): (&RecipientId, &(_, Option<StoredRecipient>))| json!({"id": id, "name": r.as_ref().map(|r| &r.recipient.name)});
    let items: Vec<Value> = ids.iter().zip(&found).map(named).collect();
    Ok(Answer::list(&items, next.as_deref()))
}

pub(crate) async fn change_members(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (name, body) = (request.part("group")?, request.json(&[])?);
    Ok(Answer::ok(&pipeline.configure_members(&request.caller()?.tenant, &name, body).await?))
}

pub(crate) async fn add_member(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (group, id) = (request.part::<GroupName>("group")?, request.part::<RecipientId>("recipient")?);
    let tenant = &request.caller()?.tenant;
    if pipeline.group(tenant, &group).await?.is_none() {
        return Err(Problem::not_found("group", &group));
    }
    if pipeline.recipient(tenant, &id).await?.is_none() {
        return Err(Problem::not_found("recipient", &id));
    }
    let new = !pipeline.is_member(tenant, &group, &id).await?;
    pipeline.change_members(tenant, &group, std::slice::from_ref(&id), &[]).await?;
    Ok(Answer::put(new, &json!({"group": group, "recipient_id": id})))
}

pub(crate) async fn remove_member(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let (group, id) = (request.part::<GroupName>("group")?, request.part::<RecipientId>("recipient")?);
    let tenant = &request.caller()?.tenant;
    if !pipeline.is_member(tenant, &group, &id).await? {
        return Err(Problem::not_found("member", &id));
    }
    pipeline.change_members(tenant, &group, &[], std::slice::from_ref(&id)).await?;
    Ok(Answer::no_content())
}
