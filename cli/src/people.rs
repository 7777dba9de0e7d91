//! The invented people of a pack: puts them into a tenant and into their groups, for `carillon dev --samples` and
//! `carillon demo`. [`crate::apply`] comes before.

use carillon_domain::FieldError;
use serde_json::json;

use crate::client::{CallError, Client, encoded};
use crate::outcome::Failure;
use crate::pack::{Pack, PackFaults, Part};

/// Puts every sample recipient, then the members of every group. Who is there already stays.
///
/// # Errors
/// When the API refuses one, with the file and line, or cannot be reached.
pub async fn introduce(client: &Client, pack: &Pack) -> Result<(), Failure> {
    for (i, person) in pack.recipients.iter().enumerate() {
        let path = format!("/v1/recipients/{}", encoded(person.id.as_str()));
        match client.put(&path, &json!(person.recipient)).await {
            Ok(_) => {}
            Err(CallError::Refused { problem, .. }) if [409, 422].contains(&problem.status) => {
                let faults = if problem.errors.is_empty() {
                    vec![FieldError::new("", problem.detail)]
                } else {
                    problem.errors
                };
                let faults = faults.into_iter().map(|fault| pack.fault(Part::Recipient(i), fault)).collect();
                return Err(PackFaults(faults).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    for group in &pack.groups {
        let members: Vec<&str> = pack
            .recipients
            .iter()
            .filter(|p| p.groups.contains(&group.name))
            .map(|p| p.id.as_str())
            .collect();
        if !members.is_empty() {
            let path = format!("/v1/groups/{}/members", encoded(group.name.as_str()));
            client.post(&path, &json!({"add": members})).await?;
        }
    }
    Ok(())
}
