//! [`Secrets`] as SSM SecureStrings: the parameter `<prefix>/<name>` holds a JSON array of the live values, newest first.

use async_trait::async_trait;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::types::ParameterType;
use carillon_pipeline::ports::{SecretValues, Secrets, StoreError};

use crate::failure::store_error;

/// The secrets of a deployment.
#[derive(Debug, Clone)]
pub struct SsmSecrets {
    client: Client,
    prefix: String,
}

impl SsmSecrets {
    /// The secrets below a prefix, such as `/carillon/prod`.
    #[must_use]
    pub fn new(client: Client, prefix: impl Into<String>) -> Self {
        Self { client, prefix: prefix.into() }
    }

    fn parameter(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix.trim_end_matches('/'))
    }
}

#[async_trait]
impl Secrets for SsmSecrets {
    async fn get(&self, name: &str) -> Result<SecretValues, StoreError> {
        let name = self.parameter(name);
        let answer = match self.client.get_parameter().name(&name).with_decryption(true).send().await {
            Ok(answer) => answer,
            Err(error)
                if matches!(error.as_service_error(), Some(GetParameterError::ParameterNotFound(_))) =>
            {
                return Ok(SecretValues::new());
            }
            Err(error) => return Err(store_error("GetParameter", &error)),
        };
        let text = answer.parameter().and_then(|parameter| parameter.value()).unwrap_or_default();
        // The parser's own words could quote the secret.
        let unreadable =
            |_| StoreError::Refused(format!("the parameter {name} is not a JSON array of strings"));
        serde_json::from_str(text).map_err(unreadable)
    }

    async fn put(&self, name: &str, values: &[String]) -> Result<(), StoreError> {
        let request = self
            .client
            .put_parameter()
            .name(self.parameter(name))
            .value(serde_json::json!(values).to_string())
            .r#type(ParameterType::SecureString)
            .overwrite(true);
        request.send().await.map(|_| ()).map_err(|error| store_error("PutParameter", &error))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    use super::*;

    type Parameters = Arc<Mutex<BTreeMap<String, String>>>;

    async fn stand_in() -> (Parameters, SsmSecrets) {
        let parameters = Parameters::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(parameters.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (parameters, SsmSecrets::new(Client::new(&crate::clients::at_endpoint(&url)), "/carillon/test"))
    }

    async fn answer(
        State(held): State<Parameters>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, String) {
        let request: Value = serde_json::from_str(&body).unwrap();
        let name = request["Name"].as_str().unwrap().to_owned();
        let mut held = held.lock().unwrap();
        let answer = match headers["x-amz-target"].to_str().unwrap() {
            "AmazonSSM.PutParameter" => {
                assert_eq!((&request["Type"], &request["Overwrite"]), (&json!("SecureString"), &json!(true)));
                held.insert(name, request["Value"].as_str().unwrap().to_owned());
                json!({ "Version": 1 })
            }
            _ => match held.get(&name) {
                Some(value) if request["WithDecryption"] == true => {
                    json!({ "Parameter": { "Value": value } })
                }
                _ => return (StatusCode::BAD_REQUEST, json!({ "__type": "ParameterNotFound" }).to_string()),
            },
        };
        (StatusCode::OK, answer.to_string())
    }

    #[tokio::test]
    async fn a_secret_is_read_as_it_was_put_newest_first() {
        let (held, secrets) = stand_in().await;
        let live = ["newer".to_owned(), "older".to_owned()];
        secrets.put("acme/whatsapp/token", &["first".to_owned()]).await.unwrap();
        secrets.put("acme/whatsapp/token", &live).await.unwrap();
        assert_eq!(secrets.get("acme/whatsapp/token").await.unwrap(), live);
        assert_eq!(held.lock().unwrap()["/carillon/test/acme/whatsapp/token"], r#"["newer","older"]"#);
    }

    #[tokio::test]
    async fn a_secret_that_was_never_put_has_no_values() {
        let (_, secrets) = stand_in().await;
        assert_eq!(secrets.get("hash-key").await.unwrap(), SecretValues::new());
    }

    #[tokio::test]
    async fn a_parameter_of_another_form_is_refused_and_not_quoted() {
        let (held, secrets) = stand_in().await;
        held.lock().unwrap().insert("/carillon/test/hash-key".to_owned(), "hunter2".to_owned());
        let error = secrets.get("hash-key").await.unwrap_err();
        assert!(matches!(&error, StoreError::Refused(text) if !text.contains("hunter2")), "{error}");
    }
}
