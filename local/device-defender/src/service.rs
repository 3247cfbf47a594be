//! From a request to an answer, without a socket: the server calls it, and so can a test in one process.
//!
//! The order is AWS's: signature, route, rate, validation, operation. A fault that was ordered strikes after
//! the route is known, so that it can be aimed at one operation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::args::Args;
use crate::clock::Clock;
use crate::control;
use crate::failure::{Code, Failure};
use crate::faults::{Fault, Kind, spoil};
use crate::operations::{Route, Run, route};
use crate::paging::TOKENS;
use crate::settings::Settings;
use crate::uri::{decode, query};
use crate::validate::{Parts, input};
use crate::world::{Message, World};
use fleetwarden_core::api::Operation;

/// A request, as far as the API looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query string, still percent-encoded, without its question mark.
    pub query: &'a str,
    /// The `Authorization` header. The signature's form is looked at, not its value.
    pub authorization: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// An answer, and how it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `x-amzn-ErrorType`, on errors of the API.
    pub error_type: Option<&'static str>,
    /// `x-amzn-RequestId`.
    pub request_id: String,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// How late it is to be sent.
    pub delay: Duration,
    /// Whether the connection is to be closed without it.
    pub lost: bool,
}

/// The simulated service. Clones share everything.
#[derive(Debug, Clone)]
pub struct DeviceDefender {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl DeviceDefender {
    /// A service with a fresh fleet.
    pub fn new(settings: Settings) -> Self {
        let clock = settings.clock.clone();
        Self { world: Arc::new(Mutex::new(World::new(settings))), clock }
    }

    /// The clock that it runs on.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Answers one request that has no members in headers.
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        self.answer_with_headers(request, &[])
    }

    /// Answers one request. Headers are names, in lower case, and values; only `ListPrincipalThings` has a
    /// member in one, `x-amzn-principal`.
    pub fn answer_with_headers(&self, request: &Request<'_>, headers: &[(&str, &str)]) -> Answer {
        self.with(|world| {
            world.tick();
            let Some(path) = request.path.strip_prefix("/_control/") else {
                let answer = api(world, request, headers);
                world.adapt(world.now());
                return answer;
            };
            let (status, body) = control::answer(world, (request.method, path), request.query, request.body);
            world.adapt(world.now());
            world.tick();
            plain(world, status, body)
        })
    }

    /// Catches up with the clock and gives the messages that are due to be published.
    pub fn take_messages(&self) -> Vec<Message> {
        self.with(|world| {
            world.tick();
            world.take_messages()
        })
    }

    /// Whether an audit or a mitigation task is in progress.
    pub fn is_busy(&self) -> bool {
        self.with(|world| world.busy())
    }

    /// Counts what became of a message.
    pub(crate) fn published(&self, sent: bool) {
        self.with(|world| {
            let publications = &mut world.publications;
            if sent { publications.sent += 1 } else { publications.failed += 1 }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn plain(world: &mut World, status: u16, body: String) -> Answer {
    Answer {
        status,
        error_type: None,
        request_id: world.request_id(),
        content_type: "application/json",
        body,
        delay: Duration::ZERO,
        lost: false,
    }
}

fn refusal(world: &mut World, failure: &Failure) -> Answer {
    Answer { error_type: Some(failure.code.name()), ..plain(world, failure.code.status(), failure.body()) }
}

fn api(world: &mut World, request: &Request<'_>, headers: &[(&str, &str)]) -> Answer {
    if !request.authorization.is_some_and(signed) {
        world.calls.record("-", Code::MissingAuthenticationToken.name());
        return refusal(
            world,
            &Failure::new(Code::MissingAuthenticationToken, "Missing Authentication Token"),
        );
    }
    let Some(Route { operation, run, path }) = route(request.method, request.path) else {
        world.calls.record("-", Code::UnknownOperation.name());
        let message = format!("No operation answers {} {}", request.method, request.path);
        return refusal(world, &Failure::new(Code::UnknownOperation, message));
    };
    let fault = world.faults.strike(operation.name);
    let kind = fault.as_ref().map(|fault| fault.kind);
    let mut token = None;
    let outcome = if kind.is_none_or(Kind::executes) {
        let parts = Parts {
            path: path.into_iter().map(|(name, text)| (name, decode(text))).collect(),
            query: query(request.query),
            headers,
            body: request.body,
        };
        carry_out(world, (operation, run), &parts, kind, &mut token)
    } else {
        Err(if kind == Some(Kind::Throttle) { Failure::throttled() } else { Failure::internal() })
    };
    let label = match (&kind, &outcome) {
        (Some(kind), _) => format!("fault:{}", kind.name()),
        (None, Ok(_)) => "ok".to_owned(),
        (None, Err(failure)) => failure.code.name().to_owned(),
    };
    world.calls.record(operation.name, &label);
    let answer = match outcome {
        Ok(body) => plain(world, 200, body),
        Err(failure) => refusal(world, &failure.of(operation.name)),
    };
    match fault {
        Some(fault) => distort(world, operation.name, &fault, answer, token.as_deref()),
        None => answer,
    }
}

fn carry_out(
    world: &mut World,
    (operation, run): (&Operation, Run),
    parts: &Parts<'_>,
    kind: Option<Kind>,
    token: &mut Option<String>,
) -> Result<String, Failure> {
    let now = world.now();
    if !world.throttle.admit(operation.name, operation.per_second, now) {
        return Err(Failure::throttled());
    }
    let input = input(operation.members, parts)?;
    world.calls.unknown(input.unknown);
    let mut args = Args(input.members);
    *token = TOKENS.iter().find_map(|name| args.text(name)).map(str::to_owned);
    if kind == Some(Kind::RepeatToken) {
        // The token may be this fault's own invention, so it leads nowhere but to the first page.
        args.0.retain(|name, _| !TOKENS.contains(&name.as_str()));
    }
    run(world, &args)
}

fn distort(world: &mut World, operation: &str, fault: &Fault, answer: Answer, token: Option<&str>) -> Answer {
    match fault.kind {
        Kind::Throttle | Kind::InternalFailure => answer,
        Kind::Html => Answer {
            status: 503,
            error_type: None,
            content_type: "text/html",
            body: "<html><body><h1>503 Service Unavailable</h1></body></html>".to_owned(),
            ..answer
        },
        Kind::Delay => Answer { delay: Duration::from_millis(fault.delay_ms.min(600_000)), ..answer },
        Kind::Reset | Kind::LostAnswer => Answer { lost: true, ..answer },
        Kind::DoneButFailed => refusal(world, &Failure::internal().of(operation)),
        kind if answer.status == 200 => Answer { body: spoil(kind, answer.body, token), ..answer },
        _ => answer,
    }
}

/// Whether a header has the form of a version 4 signature for the service `iot`.
fn signed(header: &str) -> bool {
    header.starts_with("AWS4-HMAC-SHA256 ")
        && header.contains("Credential=")
        && header.contains("/iot/aws4_request")
        && header.contains("SignedHeaders=")
        && header.contains("Signature=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_that_comes_in_is_a_panic(
            method in "(GET|POST|PUT|PATCH|DELETE|\\PC{0,5})",
            path in "(/audit/(tasks|findings|suppressions/create|configuration)|/principals/things|/security-profiles(/p(/targets)?)?|/custom-metric/m|/dimensions/d|/security-profile-behaviors/validate|/things/\\PC{0,9}|/_control/\\PC{0,9}|\\PC{0,30})",
            principal in "(arn:aws:iot:us-east-1:123456789012:(cert/)?)?\\PC{0,70}",
            query in "\\PC{0,40}",
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let service = DeviceDefender::new(Settings { clock: Clock::manual(0), ..Settings::default() });
            let authorization = Some("AWS4-HMAC-SHA256 Credential=A/d/r/iot/aws4_request, SignedHeaders=host, Signature=0");
            let request = Request { method: &method, path: &path, query: &query, authorization, body: &body };
            let answer = service.answer_with_headers(&request, &[("x-amzn-principal", &principal)]);
            prop_assert!(answer.status >= 200);
        }
    }
}
