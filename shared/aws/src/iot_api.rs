//! The operations of AWS IoT as their description in the core has them: any of them, with JSON in and JSON out.
//!
//! Who makes calls that others have written down, as `audit-commands`, would need a builder of the SDK for each of
//! 30 operations, and give back an answer that went through its types and lost what they do not know. Here one
//! table makes all requests, and an answer comes back as the service wrote it.

use std::sync::Arc;
use std::sync::OnceLock;

use aws_sdk_iot::config::endpoint::DefaultResolver;
use aws_sdk_iot::config::endpoint::Params;
use aws_sdk_iot::config::endpoint::ResolveEndpoint as _;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use aws_types::SdkConfig;
use fleetwarden_core::api;
use fleetwarden_core::api::shape::Place;
use fleetwarden_core::api::shape::Shape;
use fleetwarden_core::api::time::millis;
use futures_util::FutureExt as _;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Error;
use crate::rest;
use crate::rest::Again;
use crate::rest::Refused;

/// The code of our own for an answer that is no JSON, whatever its status.
pub const UNREADABLE: &str = "UnreadableAnswer";

type Sender = Operation<HttpRequest, Box<RawValue>, Refused>;

/// AWS IoT, operation by operation. Clones share everything.
#[derive(Clone, Debug)]
pub struct IotApi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: SdkConfig,
    /// Without a slash at its end; or why the endpoint rules have none.
    url: Result<String, String>,
    always: OnceLock<Sender>,
    unharmed: OnceLock<Sender>,
}

impl IotApi {
    /// The service at an endpoint of its own, else at AWS.
    pub(crate) fn new(config: SdkConfig, endpoint: Option<String>) -> Self {
        let url = address(&config, endpoint);
        let [always, unharmed] = Default::default();
        Self(Arc::new(Inner { config, url, always, unharmed }))
    }

    /// The region that it is in.
    pub fn region(&self) -> String {
        self.0.config.region().map(ToString::to_string).unwrap_or_default()
    }

    /// Makes a call with an input that was judged. A success without a body is `{}`.
    ///
    /// # Errors
    /// [`Error::Aws`] with the service's code, after as many tries as for any other client.
    pub async fn call(
        &self,
        operation: &api::Operation,
        input: &Map<String, Value>,
    ) -> Result<Box<RawValue>, Error> {
        self.send(Again::Always, operation, input).await
    }

    /// Makes a call by the name of its operation, and reads the answer.
    ///
    /// # Errors
    /// As [`call`](Self::call); with [`UNREADABLE`] if the answer is not what it should be.
    pub async fn ask<T: DeserializeOwned>(&self, name: &'static str, input: Value) -> Result<T, Error> {
        let (operation, input) = known(name, input)?;
        let answer = self.call(operation, &input).await?;
        serde_json::from_str(answer.get()).map_err(|error| Error::Aws {
            operation: name,
            on: Parts::new(operation, &input).target,
            code: UNREADABLE.to_owned(),
            message: format!("the answer is not what it should be: {error}"),
        })
    }

    /// As [`call`](Self::call), for what would be done twice if the answer to the first try was lost: it is tried
    /// again only when the service was asked too often.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_once(
        &self,
        operation: &api::Operation,
        input: &Map<String, Value>,
    ) -> Result<Box<RawValue>, Error> {
        self.send(Again::Unharmed, operation, input).await
    }

    async fn send(
        &self,
        again: Again,
        operation: &api::Operation,
        input: &Map<String, Value>,
    ) -> Result<Box<RawValue>, Error> {
        let parts = Parts::new(operation, input);
        let failed = |error| Error::aws(operation.name, &parts.target)(error);
        let url =
            self.0.url.as_deref().map_err(|why| failed(SdkError::construction_failure(why.to_owned())))?;
        let request = self.request(url, operation, &parts).await;
        let request = request.map_err(SdkError::construction_failure).map_err(failed)?;
        self.sender(url, again).invoke(request).await.map_err(failed)
    }

    fn sender(&self, url: &str, again: Again) -> &Sender {
        let Inner { config, always, unharmed, .. } = self.0.as_ref();
        let sender = match again {
            Again::Always => always,
            Again::Unharmed => unharmed,
        };
        sender.get_or_init(|| rest::sender(config, url, Answer, again))
    }

    async fn request(
        &self,
        url: &str,
        operation: &api::Operation,
        parts: &Parts,
    ) -> Result<HttpRequest, BoxError> {
        let config = &self.0.config;
        let body = parts.body.as_deref().unwrap_or_default();
        let unsigned = rest::Unsigned {
            method: operation.method,
            url: &format!("{url}{}", parts.target),
            headers: &parts.headers,
            body,
        };
        let signature = rest::sign(config, unsigned).await?;
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(operation.method)?;
        request.set_uri(parts.target.as_str())?;
        let headers = request.headers_mut();
        if parts.body.is_some() {
            headers.insert("content-type", "application/json");
            headers.insert("content-length", body.len().to_string());
        }
        for (name, value) in &parts.headers {
            headers.insert(*name, value.clone());
        }
        for (name, value) in signature {
            headers.insert(name, value);
        }
        Ok(request)
    }
}

/// The address of the service by the SDK's endpoint rules, which know partitions, FIPS and dual stack.
fn address(config: &SdkConfig, endpoint: Option<String>) -> Result<String, String> {
    let params = Params::builder()
        .set_region(config.region().map(ToString::to_string))
        .set_use_fips(config.use_fips())
        .set_use_dual_stack(config.use_dual_stack())
        .set_endpoint(endpoint)
        .build()
        .map_err(|error| error.to_string())?;
    let resolved = DefaultResolver::new().resolve_endpoint(&params).now_or_never();
    let endpoint = resolved.ok_or("the endpoint rules wait for something")?.map_err(|e| e.to_string())?;
    Ok(endpoint.url().trim_end_matches('/').to_owned())
}

/// An operation by its name, and the members of its input.
pub(crate) fn known(
    name: &'static str,
    input: Value,
) -> Result<(&'static api::Operation, Map<String, Value>), Error> {
    let operation = api::AUDIT.iter().chain(&api::REGISTRY).find(|operation| operation.name == name);
    match (operation, input) {
        (Some(operation), Value::Object(input)) => Ok((operation, input)),
        _ => Err(Error::Input(format!("{name} is no operation with members"))),
    }
}

/// A request, before it is signed.
#[derive(Debug)]
struct Parts {
    /// Path and query.
    target: String,
    headers: Vec<(&'static str, String)>,
    /// None if the operation has no member in a body.
    body: Option<String>,
}

impl Parts {
    /// Each member of the input where its operation has it.
    fn new(operation: &api::Operation, input: &Map<String, Value>) -> Self {
        let mut path = operation.path.to_owned();
        let mut query = String::new();
        let mut headers = Vec::new();
        let mut body = None;
        for member in operation.members {
            if member.place == Place::Body {
                body.get_or_insert_with(Map::new);
            }
            let Some(value) = input.get(member.name) else { continue };
            match member.place {
                Place::Body => {
                    body.get_or_insert_with(Map::new).insert(member.name.to_owned(), value.clone());
                }
                Place::Path => {
                    let text = rest::encoded(&text(member.shape, value));
                    path = path.replace(&format!("{{{}}}", member.name), &text);
                }
                Place::Query(name) => {
                    let text = rest::encoded(&text(member.shape, value));
                    let sign = if query.is_empty() { '?' } else { '&' };
                    query.extend([sign.to_string().as_str(), name, "=", &text]);
                }
                Place::Header(name) => headers.push((name, text(member.shape, value))),
            }
        }
        Self { target: path + &query, headers, body: body.map(|body| Value::Object(body).to_string()) }
    }
}

/// A value outside of a body: a time is RFC 3339 there.
fn text(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::Time, _) => {
            let at = DateTime::from_millis(millis(value).unwrap_or_default().0);
            at.fmt(Format::DateTime).unwrap_or_default()
        }
        (_, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    }
}

/// What comes back: JSON, or nothing, or an error.
#[derive(Debug)]
struct Answer;

impl DeserializeResponse for Answer {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<context::Output, OrchestratorError<context::Error>> {
        let body = response.body().bytes().unwrap_or_default();
        if !response.status().is_success() {
            return refused(response, body).into_outcome();
        }
        let body = if body.is_empty() { b"{}" } else { body };
        match serde_json::from_slice::<Box<RawValue>>(body) {
            Ok(answer) => Ok(context::Output::erase(answer)),
            Err(error) => Refused::new(UNREADABLE, format!("the answer is no JSON: {error}")).into_outcome(),
        }
    }
}

/// REST-JSON has the code in a header or in the body, with a namespace before it or an address after it.
fn refused(response: &HttpResponse, body: &[u8]) -> Refused {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let within = |names: &[&str]| names.iter().find_map(|name| body.get(name).and_then(Value::as_str));
    let status = response.status().as_u16();
    let code = response.headers().get("x-amzn-errortype").or_else(|| within(&["code", "__type"]));
    let code = code.and_then(|code| code.split(':').next()).and_then(|code| code.rsplit('#').next());
    let code = code.filter(|code| !code.is_empty());
    let message = within(&["message", "Message", "errorMessage"]);
    let words = || format!("HTTP {status}");
    Refused::new(
        code.map_or_else(|| format!("Http{status}"), ToOwned::to_owned),
        message.map_or_else(words, ToOwned::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
    use aws_types::region::Region;
    use serde_json::json;

    use super::*;

    fn parts(operation: &str, input: Value) -> Parts {
        let all = api::AUDIT.iter().chain(&api::REGISTRY);
        let operation = all.into_iter().find(|known| known.name == operation).unwrap();
        let Value::Object(input) = input else { panic!("{input}") };
        Parts::new(operation, &input)
    }

    #[test]
    fn each_member_stands_where_its_operation_has_it() {
        let Parts { target, headers, body } =
            parts("CreateScheduledAudit", json!({"scheduledAuditName": "a b/ä", "frequency": "DAILY"}));
        assert_eq!(target, "/audit/scheduledaudits/a%20b%2F%C3%A4");
        assert_eq!((headers, body.as_deref()), (vec![], Some(r#"{"frequency":"DAILY"}"#)));
        let list = parts(
            "ListAuditTasks",
            json!({"startTime": 1_795_392_000, "endTime": 1_795_392_000.25, "maxResults": 5, "nextToken": "a=&b+"}),
        );
        assert_eq!(
            list.target,
            "/audit/tasks?startTime=2026-11-23T00%3A00%3A00Z&endTime=2026-11-23T00%3A00%3A00.25Z\
             &nextToken=a%3D%26b%2B&maxResults=5"
        );
        assert_eq!(list.body, None);
        assert_eq!(parts("ListAuditSuppressions", json!({})).body.as_deref(), Some("{}"));
        let certificates = parts("ListCertificates", json!({"pageSize": 9, "ascendingOrder": true}));
        assert_eq!(certificates.target, "/certificates?pageSize=9&isAscendingOrder=true");
        let things = parts("ListPrincipalThings", json!({"principal": "arn:x"}));
        assert_eq!(things.headers, [("x-amzn-principal", "arn:x".to_owned())]);
        let delete = parts("DeleteAccountAuditConfiguration", json!({"deleteScheduledAudits": true}));
        assert_eq!(delete.target, "/audit/configuration?deleteScheduledAudits=true");
    }

    #[test]
    fn the_address_is_where_partition_and_variables_say() {
        let at = |region: &str, fips, dual_stack, endpoint: Option<&str>| {
            let config = SdkConfig::builder().region(Region::new(region.to_owned()));
            let config = config.use_fips(fips).use_dual_stack(dual_stack).build();
            address(&config, endpoint.map(ToOwned::to_owned))
        };
        for (region, fips, dual_stack, url) in [
            ("eu-central-1", false, false, "https://iot.eu-central-1.amazonaws.com"),
            ("cn-north-1", false, false, "https://iot.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", true, false, "https://iot-fips.us-gov-west-1.amazonaws.com"),
            ("eu-central-1", false, true, "https://iot.eu-central-1.api.aws"),
        ] {
            assert_eq!(at(region, fips, dual_stack, None).as_deref(), Ok(url));
        }
        let local = at("eu-central-1", false, false, Some("http://127.0.0.1:4566/"));
        assert_eq!(local.as_deref(), Ok("http://127.0.0.1:4566"));
        assert!(at("eu-central-1", true, false, Some("http://127.0.0.1:4566")).is_err());
    }

    #[test]
    fn an_error_has_its_code_wherever_the_service_puts_it() {
        let code = |header: Option<&'static str>, body: &'static str| {
            let mut response = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::from(body));
            if let Some(header) = header {
                response.headers_mut().insert("x-amzn-errortype", header);
            }
            let refused = refused(&response, body.as_bytes());
            format!("{}: {}", refused.code().unwrap(), refused.message().unwrap())
        };
        assert_eq!(
            code(Some("ThrottlingException:http://x/"), "{\"message\":\"slow\"}"),
            "ThrottlingException: slow"
        );
        assert_eq!(code(None, "{\"__type\":\"a.b#Broken\",\"Message\":\"no\"}"), "Broken: no");
        assert_eq!(code(None, "{\"code\":\"Gone\"}"), "Gone: HTTP 400");
        assert_eq!(code(None, "<html>"), "Http400: HTTP 400");
    }
}
