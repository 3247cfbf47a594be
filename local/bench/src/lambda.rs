//! One function as Lambda runs it: its binary, and the Runtime API that gives it events and takes answers.

use std::convert::Infallible;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// No start and no event takes longer.
const TIMEOUT: Duration = Duration::from_mins(5);

enum Told {
    /// It asked for an event.
    Asked,
    Answered(Bytes),
    Failed(Bytes),
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    told: mpsc::UnboundedSender<(Instant, Told)>,
}

/// A function's process. Dropping it ends it.
pub(crate) struct Function {
    name: String,
    child: Child,
    /// When its process began.
    began: Instant,
    events: mpsc::UnboundedSender<Bytes>,
    told: mpsc::UnboundedReceiver<(Instant, Told)>,
    _tasks: JoinSet<()>,
}

impl Function {
    /// Starts a binary with exactly this environment. `first` is an event that waits for it.
    pub(crate) async fn start(
        binary: &Path,
        environment: &[(&str, String)],
        first: Option<Bytes>,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (events, receiver) = mpsc::unbounded_channel();
        let (sender, told) = mpsc::unbounded_channel();
        if let Some(event) = first {
            events.send(event)?;
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(Api { events: Mutex::new(receiver), told: sender })));
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(binary);
        command.env_clear().envs(environment.iter().map(|(name, value)| (*name, value)));
        for (variable, value) in [
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", &name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ] {
            command.env(variable, value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("{}: is it built?", binary.display()))?;
        Ok(Self { name, child, began, events, told, _tasks: tasks })
    }

    /// Waits until it asks for an event. How long that took since its process began, if it never asked before.
    pub(crate) async fn asked(&mut self) -> Result<Duration> {
        match self.next().await? {
            (at, Told::Asked) => Ok(at - self.began),
            (_, Told::Answered(_)) => bail!("{}: answered before it asked", self.name),
            (_, Told::Failed(why)) => bail!("{}: {}", self.name, String::from_utf8_lossy(&why)),
        }
    }

    /// Waits for its answer to an event. When it came, since its process began.
    pub(crate) async fn answered(&mut self) -> Result<Duration> {
        match self.next().await? {
            (_, Told::Answered(answer)) if contains(&answer, b"itemIdentifier") => {
                bail!("{}: gave records back: {}", self.name, String::from_utf8_lossy(&answer))
            }
            (at, Told::Answered(_)) => Ok(at - self.began),
            (_, Told::Asked) => bail!("{}: asked before it answered", self.name),
            (_, Told::Failed(why)) => bail!("{}: {}", self.name, String::from_utf8_lossy(&why)),
        }
    }

    /// Gives it an event, and waits until it has answered and asks for the next.
    pub(crate) async fn invoke(&mut self, event: &Bytes) -> Result<()> {
        self.events.send(event.clone())?;
        self.answered().await?;
        self.asked().await.map(drop)
    }

    /// The most memory that it ever had resident, in megabytes (10^6 bytes).
    pub(crate) fn peak_megabytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kibibytes: u32 = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(f64::from(kibibytes) * 1024.0 / 1e6)
    }

    async fn next(&mut self) -> Result<(Instant, Told)> {
        let told = tokio::time::timeout(TIMEOUT, self.told.recv()).await;
        told.with_context(|| format!("{}: nothing in {} s", self.name, TIMEOUT.as_secs()))?
            .context("the runtime API ended")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn accept(listener: TcpListener, api: Arc<Api>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let api = api.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| respond(request, &api));
            let connection = hyper::server::conn::http1::Builder::new();
            drop(connection.serve_connection(TokioIo::new(stream), answer).await);
        });
    }
}

async fn respond(request: Request<Incoming>, api: &Api) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/next") {
        let _ = api.told.send((Instant::now(), Told::Asked));
        return Ok(match api.events.lock().await.recv().await {
            Some(event) => invocation(event),
            None => status(410),
        });
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let told = if path.ends_with("/response") { Told::Answered(body) } else { Told::Failed(body) };
    let _ = api.told.send((Instant::now(), told));
    Ok(status(202))
}

fn invocation(event: Bytes) -> Response<Full<Bytes>> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + TIMEOUT;
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
        .body(Full::new(event))
        .unwrap_or_else(|_| status(500))
}

fn status(code: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    response
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
