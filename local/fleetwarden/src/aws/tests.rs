//! The client of AWS against a server on this machine: what it sends, when it sends it again, and what it says of
//! what went wrong.

use super::function::{Answer, Function};
use super::settings::TRIES;
use super::settings::tests::at;
use super::stand_in::{found, judge, said, serve, serve_at};
use super::*;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NAME: &str = "stack-AuditCommandsFunction-1";
const EVENT: &str = r#"{"command":"ListAuditTasks"}"#;
type Answered = Option<Response<Full<Bytes>>>;

/// AWS with a stack, whose function answers these in turn. Counts the invocations that came.
async fn aws(answers: impl IntoIterator<Item = Answered>) -> (Arc<Mutex<u32>>, Function) {
    let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
    let came = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&came);
    let endpoint = serve(move |request| {
        assert_eq!(request.method(), "POST");
        if request.uri() == "/" {
            judge(request, "cloudformation", &["content-type"]);
            let asked = "Action=DescribeStackResource&Version=2010-05-15&StackName=stack\
                 &LogicalResourceId=AuditCommandsFunction";
            assert_eq!(request.body(), asked);
            return Some(found(NAME));
        }
        judge(request, "lambda", &["content-type"]);
        assert_eq!(request.uri().path(), format!("/2015-03-31/functions/{NAME}/invocations"));
        assert_eq!(request.body(), EVENT);
        *counted.lock().unwrap() += 1;
        answers.lock().unwrap().pop_front().expect("nobody asks so often")
    });
    let function = Function::find(at(&endpoint.await), "stack", "audit-commands").await.unwrap();
    (came, function)
}

/// The outcome of an invocation, and how often it was sent.
async fn invoked(
    answers: impl IntoIterator<Item = Answered>,
    again: Again,
) -> (Result<Answer, Failure>, u32) {
    let (came, function) = aws(answers).await;
    let answer = function.invoke(EVENT.into(), again).await;
    let came = *came.lock().unwrap();
    (answer, came)
}

/// An error, as Lambda tells it.
fn refused(status: u16, code: &str, body: &'static str) -> Response<Full<Bytes>> {
    let mut answer = said(status, body);
    answer.headers_mut().insert("x-amzn-errortype", code.parse().unwrap());
    answer
}

fn throttled() -> Response<Full<Bytes>> {
    let body = r#"{"Reason":"CallerRateLimitExceeded","message":"Rate Exceeded."}"#;
    refused(429, "TooManyRequestsException", body)
}

fn broken() -> Response<Full<Bytes>> {
    refused(500, "ServiceException", r#"{"Message":"An error occurred."}"#)
}

#[tokio::test]
async fn a_function_is_found_and_invoked_as_lambda_wants_it() {
    let (answer, came) = invoked([Some(said(200, r#"{"tasks":[]}"#))], Again::Unharmed).await;
    let Answer { body, failed } = answer.unwrap();
    assert_eq!((&body[..], failed, came), (&br#"{"tasks":[]}"#[..], false, 1));
}

#[tokio::test]
async fn a_failure_of_the_function_is_an_answer_and_not_asked_again() {
    let mut answer = said(200, r#"{"errorType":"InvalidInput","errorMessage":"$.x: no"}"#);
    answer.headers_mut().insert("x-amz-function-error", "Unhandled".parse().unwrap());
    let (answer, came) = invoked([Some(answer)], Again::Always).await;
    assert!(answer.unwrap().failed);
    assert_eq!(came, 1);
}

#[tokio::test]
async fn what_was_not_done_for_being_too_much_is_asked_again_always() {
    for again in [Again::Always, Again::Unharmed] {
        let (answer, came) = invoked([throttled(), throttled(), said(200, "{}")].map(Some), again).await;
        assert!(!answer.unwrap().failed);
        assert_eq!(came, 3);
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_asked_again_only_where_that_is_safe() {
    for nothing in [|| None, || Some(broken())] {
        let (answer, came) = invoked([nothing(), Some(said(200, "{}"))], Again::Always).await;
        assert_eq!((answer.unwrap().failed, came), (false, 2));
        let (answer, came) = invoked([nothing()], Again::Unharmed).await;
        assert_eq!((answer.unwrap_err().is_unknown(), came), (true, 1));
    }
}

#[tokio::test]
async fn what_stays_busy_or_is_refused_says_so_in_the_words_of_the_service() {
    let always = std::iter::repeat_with(|| Some(throttled())).take(TRIES as usize);
    let (busy, came) = invoked(always, Again::Unharmed).await;
    assert_eq!(came, TRIES);
    let denied =
        r#"{"Message":"User: arn:aws:iam::1:user/u is not authorized to perform: lambda:InvokeFunction"}"#;
    let (denied, came) = invoked([Some(refused(403, "AccessDeniedException", denied))], Again::Always).await;
    assert_eq!(came, 1);
    let gone = r#"{"Type":"User","Message":"Function not found: f"}"#;
    let (gone, _) =
        invoked([Some(refused(404, "ResourceNotFoundException:http://i", gone))], Again::Always).await;
    let (portal, _) = invoked([Some(said(403, "<html>Sign in<br>first</html>"))], Again::Always).await;
    let (broken, _) = invoked([Some(broken())], Again::Unharmed).await;
    let told = [busy, denied, gone, portal, broken].map(|answer| answer.unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_stack_that_is_not_there_says_what_was_looked_for() {
    let none = "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
         <Code>ValidationError</Code><Message>Stack &apos;stack&apos; does not exist</Message></Error></ErrorResponse>";
    let not_there = serve(move |_| Some(said(400, none))).await;
    let not_made = serve(|_| Some(found(""))).await;
    let mut told = String::new();
    for endpoint in [not_there, not_made] {
        let error = Function::find(at(&endpoint), "stack", "audit-commands").await.unwrap_err();
        let _ = writeln!(told, "{error:#}");
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_request_that_never_left_is_tried_again_and_changes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error =
        Function::find(at(&format!("http://{address}")), "stack", "audit-commands").await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("{address}: ")), "{error:#}");
    let function = Function::new(&at(&format!("http://{address}")), NAME.to_owned());
    let failure = function.invoke(EVENT.into(), Again::Unharmed).await.unwrap_err();
    assert!(!failure.is_unknown(), "{failure}");
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        serve_at(address, |_| Some(said(200, "{}"))).await;
    });
    assert!(!function.invoke(EVENT.into(), Again::Unharmed).await.unwrap().failed);
    late.await.unwrap();
}
