//! The Device Defender endpoint as a client sees it: what the template declares is created there, audits are
//! started there, and its own controls say what has really happened to the fleet.

use crate::cloud::{ACCOUNT, REGION};
use crate::http::Http;
use anyhow::{Context as _, Result, bail};
use hyper::Method;
use serde_json::{Map, Value, json};

/// The endpoint, reachable at one address.
#[derive(Debug, Clone)]
pub(crate) struct Defender {
    http: Http,
    url: String,
}

impl Defender {
    /// The endpoint at `url`, without a slash at its end.
    pub(crate) fn new(http: Http, url: impl Into<String>) -> Self {
        Self { http, url: url.into() }
    }

    /// The address that goes into `AWS_ENDPOINT_URL_IOT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Calls an operation of the service.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        // The endpoint reads the account from the access key, and checks no signature.
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/iot/aws4_request, \
             SignedHeaders=host, Signature=none"
        );
        let headers = [("authorization", scope.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let url = format!("{}{path}", self.url);
        let reply = self.http.send(method, &url, &headers, body).await?;
        reply.json().with_context(|| format!("the endpoint refused {path}"))
    }

    /// Starts an audit of these checks and returns its task id.
    pub(crate) async fn start_audit(&self, checks: &[String]) -> Result<String> {
        let answer = self.call(Method::POST, "/audit/tasks", &json!({ "targetCheckNames": checks })).await?;
        let id = answer.get("taskId").and_then(Value::as_str).context("the audit has no task id")?;
        Ok(id.to_owned())
    }

    /// The names of the checks that the account's audit configuration enables.
    pub(crate) async fn enabled_checks(&self) -> Result<Vec<String>> {
        let answer = self.call(Method::GET, "/audit/configuration", &Value::Null).await?;
        let checks = answer.get("auditCheckConfigurations").and_then(Value::as_object);
        let enabled = |check: &Value| check.get("enabled").and_then(Value::as_bool) == Some(true);
        let checks = checks.into_iter().flatten().filter(|(_, check)| enabled(check));
        Ok(checks.map(|(name, _)| name.clone()).collect())
    }

    /// Creates one of the template's `AWS::IoT::*` resources, whose properties are resolved.
    pub(crate) async fn create(&self, kind: &str, properties: &Value) -> Result<()> {
        for (method, path, body) in requests(kind, properties)? {
            self.call(method, &path, &body).await?;
        }
        Ok(())
    }
}

/// A call of the API: method, path with query, body.
type Request = (Method, String, Value);

/// The API calls that make a CloudFormation resource, in order.
fn requests(kind: &str, properties: &Value) -> Result<Vec<Request>> {
    let mut requests = vec![request(kind, properties)?];
    if kind == "AWS::IoT::SecurityProfile" {
        let targets = properties.get("TargetArns").and_then(Value::as_array).into_iter().flatten();
        let attach = |target: &str| {
            let target: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
            let (_, path, _) = request(kind, properties)?;
            anyhow::Ok((
                Method::PUT,
                format!("{path}/targets?securityProfileTargetArn={target}"),
                Value::Null,
            ))
        };
        let attached: Result<Vec<_>> = targets.filter_map(Value::as_str).map(attach).collect();
        requests.extend(attached?);
    }
    Ok(requests)
}

/// The API call that makes a CloudFormation resource.
fn request(kind: &str, properties: &Value) -> Result<Request> {
    let text = |name: &str| {
        let value = properties.get(name).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("{kind} has no {name}"))
    };
    Ok(match kind {
        "AWS::IoT::AccountAuditConfiguration" => {
            if text("AccountId")? != ACCOUNT {
                bail!("the audit configuration is for another account");
            }
            (Method::PATCH, "/audit/configuration".to_owned(), audit_configuration(properties))
        }
        "AWS::IoT::MitigationAction" => {
            let path = format!("/mitigationactions/actions/{}", text("ActionName")?);
            let body = json!({
                "roleArn": text("RoleArn")?,
                "actionParams": member(properties, "ActionParams"),
            });
            (Method::POST, path, body)
        }
        "AWS::IoT::ScheduledAudit" => {
            let path = format!("/audit/scheduledaudits/{}", text("ScheduledAuditName")?);
            (Method::POST, path, scheduled_audit(properties))
        }
        "AWS::IoT::SecurityProfile" => {
            let path = format!("/security-profiles/{}", text("SecurityProfileName")?);
            (Method::POST, path, security_profile(properties))
        }
        "AWS::IoT::CustomMetric" => {
            let name = text("MetricName")?;
            (Method::POST, format!("/custom-metric/{name}"), named(properties, "metricName", &name))
        }
        "AWS::IoT::Dimension" => {
            let name = text("Name")?;
            (Method::POST, format!("/dimensions/{name}"), named(properties, "name", &name))
        }
        other => bail!("no resource of type {other} can be made on one machine"),
    })
}

fn scheduled_audit(properties: &Value) -> Value {
    let mut body = camel(properties);
    if let Some(members) = body.as_object_mut() {
        members.remove("scheduledAuditName");
        members.remove("tags");
    }
    body
}

/// The body of what is named in the path and is made with a token. The token is the name's, so that the same one is
/// never made twice.
fn named(properties: &Value, name: &str, token: &str) -> Value {
    let mut body = camel(properties);
    if let Some(members) = body.as_object_mut() {
        members.remove(name);
        members.remove("tags");
        let token: String =
            token.chars().map(|letter| if letter == ':' { '-' } else { letter }).take(64).collect();
        members.insert("clientRequestToken".to_owned(), Value::from(token));
    }
    body
}

/// The body of a security profile. Its targets are attached afterwards.
fn security_profile(properties: &Value) -> Value {
    let mut body = camel(properties);
    let Some(members) = body.as_object_mut() else { return body };
    for absent in ["securityProfileName", "targetArns", "tags"] {
        members.remove(absent);
    }
    // The keys of this map are words of the API already.
    if let Some(targets) = properties.get("AlertTargets").and_then(Value::as_object) {
        let targets: Map<String, Value> =
            targets.iter().map(|(kind, to)| (kind.clone(), camel(to))).collect();
        members.insert("alertTargets".to_owned(), Value::Object(targets));
    }
    for behavior in members.get_mut("behaviors").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(count) = behavior.pointer_mut("/criteria/value/count") {
            // Text in CloudFormation's type, a number in the API.
            let number = count.as_str().and_then(|text| text.parse::<i64>().ok());
            *count = number.map_or_else(|| count.take(), Value::from);
        }
    }
    body
}

fn audit_configuration(properties: &Value) -> Value {
    let checks = properties.get("AuditCheckConfigurations").and_then(Value::as_object);
    let checks: Map<String, Value> =
        checks.into_iter().flatten().map(|(name, check)| (check_name(name), settings(check))).collect();
    let body = json!({ "roleArn": member(properties, "RoleArn"), "auditCheckConfigurations": checks });
    let sns = properties.pointer("/AuditNotificationTargetConfigurations/Sns");
    let target = sns.map(|sns| json!({ "SNS": camel(sns) }));
    with(body, "auditNotificationTargetConfigurations", target)
}

/// A check's switch and its configuration, whose keys have a third spelling in the API.
fn settings(check: &Value) -> Value {
    let configuration = check.get("Configuration").and_then(Value::as_object).map(|configuration| {
        Value::Object(configuration.iter().map(|(key, value)| (upper_snake(key), value.clone())).collect())
    });
    with(json!({ "enabled": member(check, "Enabled") }), "configuration", configuration)
}

/// The body with one more member, if there is one.
fn with(mut body: Value, name: &str, value: Option<Value>) -> Value {
    if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
    body
}

fn member(of: &Value, name: &str) -> Value {
    of.get(name).map(camel).unwrap_or_default()
}

/// The API's name of a check, from CloudFormation's: `IoTPolicy…` and `Iot…` both become `IOT_…`.
fn check_name(property: &str) -> String {
    upper_snake(&property.replace("IoT", "Iot").replace("MisConfiguration", "Misconfiguration"))
}

fn upper_snake(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The same value with every key as the API spells it, and with truth values that are no longer text.
fn camel(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (first_lower(key), camel(value))).collect())
        }
        Value::Array(items) => items.iter().map(camel).collect(),
        Value::String(text) if text == "true" || text == "false" => Value::Bool(text == "true"),
        other => other.clone(),
    }
}

fn first_lower(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_checks_are_those_of_the_api() {
        for (property, name) in [
            ("IoTPolicyPotentialMisConfigurationCheck", "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK"),
            ("IotPolicyOverlyPermissiveCheck", "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"),
            ("CaCertificateExpiringCheck", "CA_CERTIFICATE_EXPIRING_CHECK"),
        ] {
            assert_eq!(check_name(property), name);
        }
    }

    #[test]
    fn an_audit_configuration_becomes_its_call() {
        let properties = json!({
            "AccountId": ACCOUNT, "RoleArn": "arn:r",
            "AuditNotificationTargetConfigurations": { "Sns": { "Enabled": true, "RoleArn": "arn:p", "TargetArn": "arn:t" } },
            "AuditCheckConfigurations": { "DeviceCertificateAgeCheck":
                { "Enabled": "true", "Configuration": { "CertAgeThresholdInDays": "365" } } },
        });
        let (method, path, body) = request("AWS::IoT::AccountAuditConfiguration", &properties).unwrap();
        assert_eq!((method, path.as_str()), (Method::PATCH, "/audit/configuration"));
        assert_eq!(
            body,
            json!({
                "roleArn": "arn:r",
                "auditNotificationTargetConfigurations": { "SNS": { "enabled": true, "roleArn": "arn:p", "targetArn": "arn:t" } },
                "auditCheckConfigurations": { "DEVICE_CERTIFICATE_AGE_CHECK":
                    { "enabled": true, "configuration": { "CERT_AGE_THRESHOLD_IN_DAYS": "365" } } },
            })
        );
    }

    #[test]
    fn a_mitigation_action_becomes_its_call() {
        let properties = json!({ "ActionName": "Deactivate", "RoleArn": "arn:r",
            "ActionParams": { "UpdateDeviceCertificateParams": { "Action": "DEACTIVATE" } } });
        let (_, path, body) = request("AWS::IoT::MitigationAction", &properties).unwrap();
        assert_eq!(path, "/mitigationactions/actions/Deactivate");
        assert_eq!(
            body["actionParams"],
            json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } })
        );
    }

    #[test]
    fn a_security_profile_becomes_its_calls() {
        let properties = json!({
            "SecurityProfileName": "Rules", "SecurityProfileDescription": "d", "Tags": [],
            "AlertTargets": { "SNS": { "AlertTargetArn": "arn:t", "RoleArn": "arn:r" } },
            "TargetArns": ["arn:aws:iot:us-east-1:123456789012:all/things", "arn:g"],
            "Behaviors": [
                { "Name": "A", "Metric": "aws:num-disconnects", "SuppressAlerts": "true", "Criteria": {
                    "ComparisonOperator": "less-than", "Value": { "Count": "10" }, "DurationSeconds": 900 } },
                { "Name": "B", "Metric": "x", "Criteria": { "MlDetectionConfig": { "ConfidenceLevel": "HIGH" } },
                    "MetricDimension": { "DimensionName": "own", "Operator": "NOT_IN" } },
            ],
        });
        let calls = requests("AWS::IoT::SecurityProfile", &properties).unwrap();
        assert_eq!(
            calls[0],
            (
                Method::POST,
                "/security-profiles/Rules".to_owned(),
                json!({
                    "securityProfileDescription": "d",
                    "alertTargets": { "SNS": { "alertTargetArn": "arn:t", "roleArn": "arn:r" } },
                    "behaviors": [
                        { "name": "A", "metric": "aws:num-disconnects", "suppressAlerts": true, "criteria": {
                            "comparisonOperator": "less-than", "value": { "count": 10 }, "durationSeconds": 900 } },
                        { "name": "B", "metric": "x", "criteria": { "mlDetectionConfig": { "confidenceLevel": "HIGH" } },
                            "metricDimension": { "dimensionName": "own", "operator": "NOT_IN" } },
                    ],
                })
            )
        );
        let attached: Vec<_> =
            calls[1..].iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        let path = "PUT /security-profiles/Rules/targets?securityProfileTargetArn=";
        assert_eq!(
            attached,
            [
                format!("{path}arn%3Aaws%3Aiot%3Aus-east-1%3A123456789012%3Aall%2Fthings"),
                format!("{path}arn%3Ag")
            ]
        );
    }

    #[test]
    fn a_custom_metric_and_a_dimension_become_their_calls() {
        let metric =
            json!({ "MetricName": "fleet:battery", "DisplayName": "Battery", "MetricType": "number" });
        let (_, path, body) = request("AWS::IoT::CustomMetric", &metric).unwrap();
        assert_eq!(path, "/custom-metric/fleet:battery");
        assert_eq!(
            body,
            json!({ "displayName": "Battery", "metricType": "number", "clientRequestToken": "fleet-battery" })
        );
        let dimension =
            json!({ "Name": "own", "Type": "TOPIC_FILTER", "StringValues": ["a/${iot:ClientId}/#"] });
        let (_, path, body) = request("AWS::IoT::Dimension", &dimension).unwrap();
        assert_eq!(path, "/dimensions/own");
        let values = json!(["a/${iot:ClientId}/#"]);
        assert_eq!(
            body,
            json!({ "type": "TOPIC_FILTER", "stringValues": values, "clientRequestToken": "own" })
        );
    }

    #[test]
    fn a_scheduled_audit_becomes_its_call_and_others_are_refused() {
        let properties = json!({ "ScheduledAuditName": "s", "Frequency": "DAILY", "TargetCheckNames": ["A", "B"], "Tags": [] });
        let (_, path, body) = request("AWS::IoT::ScheduledAudit", &properties).unwrap();
        assert_eq!(path, "/audit/scheduledaudits/s");
        assert_eq!(body, json!({ "frequency": "DAILY", "targetCheckNames": ["A", "B"] }));
        assert!(request("AWS::IoT::Thing", &json!({})).is_err());
    }
}
