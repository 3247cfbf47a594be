//! The emulator's services, as far as the command line needs them.
//!
//! Not the AWS SDK: its CloudFormation and Lambda crates take longer to compile than everything else in this
//! crate together, and what is needed of them is a dozen calls without signature, retry or TLS. The three
//! protocols of AWS fit in this file; each service beside it is a list of calls.

pub(crate) mod cloudformation;
pub(crate) mod lambda;
pub(crate) mod logs;
pub(crate) mod s3;
pub(crate) mod sns;
pub(crate) mod sqs;

use crate::http::{Http, Reply};
use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;

/// The region of every local stack.
pub(crate) const REGION: &str = "us-east-1";
/// The account of every local stack.
pub(crate) const ACCOUNT: &str = "123456789012";

/// The emulator, reachable at one address.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    http: Http,
    url: String,
}

impl Cloud {
    /// The emulator at `url`, without a slash at its end.
    pub(crate) fn new(http: Http, url: impl Into<String>) -> Self {
        Self { http, url: url.into() }
    }

    /// The address that goes into `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A call of an AWS JSON service, such as `AmazonSQS.SendMessage`.
    async fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let kind = if service == "sqs" || service == "dynamodb" { "1.0" } else { "1.1" };
        let kind = format!("application/x-amz-json-{kind}");
        let headers = [("content-type", kind.as_str()), ("x-amz-target", target)];
        let reply = self.signed(service, Method::POST, "/", &headers, body.to_string()).await?;
        reply.json().with_context(|| format!("the emulator refused {target}"))
    }

    /// A call of an AWS query service, such as `CreateStack`. The answer is XML.
    async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(String, String)],
    ) -> Result<String> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", version)
            .extend_pairs(parameters)
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.signed(service, Method::POST, "/", &headers, body).await?;
        let body = reply.ok().with_context(|| format!("the emulator refused {action}"))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// A call of a service with resources in its paths: S3 and Lambda.
    async fn rest(&self, service: &str, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Reply> {
        self.signed(service, method, path, &[("content-type", "application/json")], body).await
    }

    /// The emulator finds the service by the scope of the signature and never checks the signature itself.
    async fn signed(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let scope = authorization(service);
        let mut all = vec![("authorization", scope.as_str())];
        all.extend_from_slice(headers);
        self.http.send(method, &format!("{}{path}", self.url), &all, body).await
    }
}

/// The header of a signed request to `service`, with a signature that nobody checks on this machine.
pub(crate) fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=none"
    )
}
