//! The HTTP API: API Gateway takes each call to the function that answers it, and routes nothing that nobody answers.

use carillon_runtime::http::Call;

use crate::none_of;
use crate::template::{of_kind, resources};

/// The functions behind API Gateway, with the calls that they answer. webhooks has a URL of its own.
const BEHIND_GATEWAY: &[(&str, &[Call])] =
    &[("Intake", intake::CALLS), ("Operate", operate::CALLS), ("Api", api::CALLS), ("Inbox", inbox::CALLS)];

/// A route of API Gateway.
struct Route {
    method: String,
    path: String,
    /// The logical id of the function it leads to.
    function: String,
}

impl Route {
    /// How closely it fits a call, the way API Gateway chooses: an exact path before a greedy one, then an exact method.
    fn fits(&self, method: &str, path: &str) -> Option<(bool, usize, bool)> {
        let exact_method = self.method == method;
        if !exact_method && self.method != "ANY" {
            return None;
        }
        match self.path.strip_suffix("{proxy+}") {
            None => (self.path == path).then_some((true, path.len(), exact_method)),
            Some(prefix) => (path.len() > prefix.len() && path.starts_with(prefix)).then_some((
                false,
                prefix.len(),
                exact_method,
            )),
        }
    }
}

fn routes() -> Vec<Route> {
    let resources = resources();
    let by_id = |id: &str| resources.iter().find(|resource| resource.id == id).unwrap();
    let function = |target: &str| {
        let integration =
            target.strip_prefix("!Sub integrations/${").and_then(|rest| rest.strip_suffix('}')).unwrap();
        let uri = by_id(integration).value("IntegrationUri").unwrap();
        uri.strip_prefix("!GetAtt ").and_then(|rest| rest.strip_suffix(".Arn")).unwrap().to_owned()
    };
    of_kind("AWS::ApiGatewayV2::Route")
        .iter()
        .map(|route| {
            let (method, path) = route.value("RouteKey").unwrap().split_once(' ').unwrap();
            let function = function(route.value("Target").unwrap());
            Route { method: method.to_owned(), path: path.to_owned(), function }
        })
        .collect()
}

#[test]
fn each_call_reaches_the_function_that_answers_it() {
    let routes = routes();
    let mut faults = Vec::new();
    for (function, calls) in BEHIND_GATEWAY {
        for call in *calls {
            let method = call.method.as_str();
            let fitting = routes.iter().filter_map(|route| Some((route.fits(method, call.path)?, route)));
            match fitting.max_by_key(|(fit, _)| *fit) {
                None => faults.push(format!("nothing routes {method} {}", call.path)),
                Some((_, route)) if route.function != *function => {
                    faults.push(format!("{method} {} of {function} goes to {}", call.path, route.function));
                }
                Some(_) => {}
            }
        }
    }
    none_of(&faults);
}

#[test]
fn each_route_leads_to_a_call() {
    let mut faults = Vec::new();
    for route in routes() {
        let calls =
            BEHIND_GATEWAY.iter().find(|(function, _)| *function == route.function).map(|(_, calls)| *calls);
        let mut calls = calls.unwrap_or_default().iter();
        if !calls.any(|call| route.fits(call.method.as_str(), call.path).is_some()) {
            faults.push(format!(
                "{} {} leads to {}, which does not answer it",
                route.method, route.path, route.function
            ));
        }
    }
    none_of(&faults);
}

#[test]
fn webhooks_are_answered_at_a_url_of_their_own() {
    let functions = of_kind("AWS::Serverless::Function");
    let with_url: Vec<&str> =
        functions.iter().filter(|f| f.value("FunctionUrlConfig").is_some()).map(|f| f.id.as_str()).collect();
    assert_eq!(with_url, ["Webhooks"]);
    assert!(webhooks::CALLS.iter().all(|call| call.path.starts_with("/webhooks/")));
}
