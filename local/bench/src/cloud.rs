//! Everything that the functions call, on one address: Device Defender's own stand-in for AWS IoT, and the
//! [`Sink`](crate::sink::Sink) for the rest. On a second address the same over TLS, with an authority made
//! for this run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use device_defender::{DeviceDefender, Request as Api};
use fleetwarden_bench::Call;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue,
};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::recorder::Recorder;
use crate::sink::{Asked, Sink};
use crate::tls;

/// How calls of AWS IoT are counted: all operations as one.
pub(crate) const IOT: &str = "AWS IoT";
/// The one header that has a member of a call (`ListPrincipalThings`).
const PRINCIPAL: &str = "x-amzn-principal";

/// What all connections share.
pub(crate) struct Services {
    defender: Mutex<DeviceDefender>,
    pub(crate) sink: Sink,
    pub(crate) recorder: Recorder,
    delay_micros: AtomicU64,
}

impl Services {
    /// Another fleet behind the same address.
    pub(crate) fn set_defender(&self, defender: DeviceDefender) {
        *self.defender.lock().unwrap_or_else(PoisonError::into_inner) = defender;
    }

    /// How late every answer comes from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.delay_micros.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

/// The running services. Dropping them stops them.
pub(crate) struct Cloud {
    pub(crate) services: Arc<Services>,
    /// Where they are.
    pub(crate) url: String,
    /// Where they are by TLS.
    pub(crate) tls_url: String,
    _tasks: JoinSet<()>,
}

impl Cloud {
    /// Starts them on free ports of loopback, and writes the authority's certificate to a file.
    pub(crate) async fn start(authority: &Path) -> Result<Self> {
        let services = Arc::new(Services {
            defender: Mutex::new(DeviceDefender::new(device_defender::Settings::default())),
            sink: Sink::default(),
            recorder: Recorder::default(),
            delay_micros: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        let mut urls = Vec::new();
        for (scheme, acceptor) in [("http", None), ("https", Some(tls::acceptor(authority)?))] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let url = format!("{scheme}://{}", listener.local_addr()?);
            urls.push(url.clone());
            tasks.spawn(accept(listener, url.into(), acceptor, services.clone()));
        }
        let tls_url = urls.pop().unwrap_or_default();
        Ok(Self { services, url: urls.pop().unwrap_or_default(), tls_url, _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, url: Arc<str>, tls: Option<TlsAcceptor>, services: Arc<Services>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, url.clone(), tls.clone(), services.clone()));
    }
}

async fn serve(stream: TcpStream, url: Arc<str>, tls: Option<TlsAcceptor>, services: Arc<Services>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| respond(request, &url, &services));
    let http = hyper::server::conn::http1::Builder::new();
    // A function that is ended breaks its connections: nothing to say about that.
    match tls {
        None => drop(http.serve_connection(TokioIo::new(stream), answer).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(http.serve_connection(TokioIo::new(stream), answer).await);
            }
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    url: &str,
    services: &Services,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let target = text(&head, "x-amz-target");
    // Every call has a signature, which names its service.
    let is_iot = text(&head, AUTHORIZATION.as_str()).contains("/iot/aws4_request");
    let operation = match target.rsplit('.').next() {
        Some(name) if !name.is_empty() => name,
        _ if is_iot => IOT,
        _ => head.method.as_str(),
    };
    let at = services.recorder.begin(operation, || recorded(&head, url, body.clone()));
    let mut error_type = None;
    let (status, kind, answer) = if is_iot {
        let api = Api {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            authorization: Some(text(&head, AUTHORIZATION.as_str())),
            body: &body,
        };
        let defender = services.defender.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = defender.answer_with_headers(&api, &[(PRINCIPAL, text(&head, PRINCIPAL))]);
        error_type = answer.error_type;
        (answer.status, answer.content_type, answer.body.into())
    } else {
        let encoding = text(&head, CONTENT_ENCODING.as_str());
        let asked =
            Asked { method: head.method.as_str(), path: head.uri.path(), target, encoding, body: &body };
        services.sink.answer(&asked)
    };
    let delay = services.delay_micros.load(Ordering::SeqCst);
    if delay > 0 {
        tokio::time::sleep(Duration::from_micros(delay)).await;
    }
    if let Some(at) = at {
        services.recorder.end(at, status);
    }
    let mut response = Response::new(Full::new(answer));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(error_type) = error_type {
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    Ok(response)
}

fn text<'h>(head: &'h Parts, name: &str) -> &'h str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn recorded(head: &Parts, url: &str, body: Bytes) -> Call {
    let chosen = head.headers.iter().filter(|(name, _)| ![HOST, CONTENT_LENGTH, CONNECTION].contains(name));
    let headers: BTreeMap<String, String> = chosen
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .filter(|(name, _)| name != "transfer-encoding")
        .collect();
    Call::new(url.to_owned(), head.method.to_string(), head.uri.to_string(), headers, body)
}
