//! The bare client: hyper over connections that are kept, rustls with ring where the plan says `https`.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::plan::{Call, Plan, Step};

type Connection = SendRequest<Full<Bytes>>;

/// Replays plans.
#[derive(Debug, Default)]
pub struct Client {
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    tls: OnceLock<Arc<ClientConfig>>,
    parses: bool,
}

impl Client {
    /// A client that opens its first connection with its first call. `parses`: whether it reads what it gets
    /// as JSON, as any client has to that wants to know what it says.
    pub fn new(parses: bool) -> Self {
        Self { parses, ..Self::default() }
    }

    /// Makes all calls of a plan.
    ///
    /// # Errors
    /// If a call fails or has another answer than it had.
    pub async fn replay(self: &Arc<Self>, plan: &Plan) -> Result<()> {
        let mut running = HashMap::new();
        for step in &plan.steps {
            match step {
                Step::Begin(at) => {
                    let call = plan.calls.get(*at).context("a call that the plan does not have")?.clone();
                    let client = Arc::clone(self);
                    running.insert(at, tokio::spawn(async move { client.call(&call).await }));
                }
                Step::End(at) => running.remove(at).context("a call ends before it begins")?.await??,
            }
        }
        Ok(())
    }

    async fn call(&self, call: &Call) -> Result<()> {
        let idle = self.pool().get_mut(&call.origin).and_then(Vec::pop);
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect(&call.origin).await?,
        };
        let authority = call.origin.split("://").nth(1).unwrap_or_default();
        let mut request =
            Request::builder().method(call.method.as_str()).uri(&call.target).header(HOST, authority);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        connection.ready().await?;
        let response = connection.send_request(request.body(Full::new(call.body.clone()))?).await?;
        let status = response.status().as_u16();
        let json =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == call.status, "{} {}: {status}, not {}", call.method, call.target, call.status);
        if self.parses && json {
            let _: Value = serde_json::from_slice(&body)?;
        }
        self.pool().entry(call.origin.clone()).or_default().push(connection);
        Ok(())
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, origin: &str) -> Result<Connection> {
        let (scheme, authority) = origin.split_once("://").context("an origin without scheme")?;
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        match scheme {
            "http" => open(TokioIo::new(stream)).await,
            "https" => {
                let host = authority.split(':').next().unwrap_or_default();
                let name = ServerName::try_from(host.to_owned())?;
                let tls = TlsConnector::from(self.tls()?).connect(name, stream).await?;
                open(TokioIo::new(tls)).await
            }
            other => bail!("no {other} here"),
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let pem = fs::read(std::env::var("AWS_CA_BUNDLE").context("AWS_CA_BUNDLE")?)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}

async fn open<S>(stream: TokioIo<S>) -> Result<Connection>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}
