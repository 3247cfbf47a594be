//! What the command line makes of what a machine says of AWS: the real command, with an environment of the test's own and
//! a server that notes what it is asked.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
/// How long a request may be on its way.
const WAIT: Duration = Duration::from_secs(20);
const REGION: (&str, &str) = ("AWS_REGION", "eu-central-1");

/// What a request to a server on this machine says.
#[derive(Debug)]
struct Asked {
    /// Method and address.
    line: String,
    authorization: String,
    token: Option<String>,
}

impl Asked {
    /// The access key, and the region, with which it is signed.
    fn scope(&self) -> (&str, &str) {
        let (_, scope) = self.authorization.split_once("Credential=").expect("a signed request");
        let parts: Vec<_> = scope.split('/').collect();
        (parts[0], parts[2])
    }
}

/// A server on this machine that refuses everything: its address, and what it is asked.
fn server() -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let header = |wanted: &str| {
                let mut headers = lines.iter().filter_map(|line| line.split_once(": "));
                headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
            };
            let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let authorization = header("authorization").unwrap_or_default();
            let line = lines.first().cloned().unwrap_or_default();
            let asked = Asked { line, authorization, token: header("x-amz-security-token") };
            let no = "<ErrorResponse><Error><Code>ValidationError</Code><Message>no</Message></Error></ErrorResponse>";
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{no}",
                no.len()
            );
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if tell.send(asked).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

/// A home with a configuration of AWS.
fn home(config: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    home
}

/// What a command that asks AWS says on standard error, with this home and these variables and no others.
fn said(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
    command.args(["audit", "describe-audit-task", "--cli-input-json", r#"{"taskId":"t"}"#]).args(arguments);
    command.current_dir(home).stdin(Stdio::null()).env_clear();
    // An instance that this test may run on has credentials of its own.
    command.env("HOME", home).env("PATH", "/usr/bin:/bin").env("AWS_EC2_METADATA_DISABLED", "true");
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap().trim().to_owned()
}

#[test]
fn an_address_without_a_scheme_is_refused_by_the_name_of_its_variable() {
    let home = home("");
    for (name, url, shown) in [
        ("AWS_ENDPOINT_URL", "localhost:4566", "localhost:4566"),
        ("AWS_ENDPOINT_URL_LAMBDA", "ftp://x\u{1b}", "ftp://x\\u001b"),
    ] {
        let error = said(home.path(), &[&KEYS[..], &[REGION, (name, url)]].concat(), &[]);
        assert!(
            error.ends_with(&format!("{name} must begin with http:// or https://: '{shown}'")),
            "{error}"
        );
    }
    let error = said(home.path(), &KEYS, &["--endpoint-url", "here"]);
    assert!(error.ends_with("--endpoint-url must begin with http:// or https://: 'here'"), "{error}");
}

#[test]
fn the_environment_is_stronger_than_the_profile_and_what_is_empty_is_not_set() {
    let (url, asked) = server();
    let home = home("[default]\nregion = us-west-2\naws_access_key_id = p\naws_secret_access_key = s\n");
    let ask = |variables: &[(&str, &str)]| {
        let variables = [&[("AWS_ENDPOINT_URL", url.as_str())], variables].concat();
        let error = said(home.path(), &variables, &[]);
        assert!(error.contains("CloudFormation answered 400: ValidationError no"), "{error}");
        asked.recv_timeout(WAIT).unwrap()
    };
    let given = ask(&[&KEYS[..], &[("AWS_SESSION_TOKEN", ""), ("AWS_DEFAULT_REGION", "us-east-1")]].concat());
    assert_eq!((given.scope(), given.token.as_deref()), (("id", "us-east-1"), None));
    let given = ask(&[&KEYS[..], &[REGION, ("AWS_DEFAULT_REGION", "us-east-1")]].concat());
    assert_eq!(given.scope(), ("id", "eu-central-1"));
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_PROFILE", "AWS_CA_BUNDLE"];
    let given = ask(&names.map(|name| (name, "")));
    assert_eq!(given.scope(), ("p", "us-west-2"));
    assert_eq!(ask(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "")]).scope(), ("p", "us-west-2"));
}

#[test]
fn an_endpoint_of_one_service_is_stronger_than_that_of_all_and_the_command_line_than_both() {
    let [(all, at_all), (own, at_own), (given, at_given)] = [server(), server(), server()];
    let home = home("");
    let variables =
        [&KEYS[..], &[REGION, ("AWS_ENDPOINT_URL", &all), ("AWS_ENDPOINT_URL_CLOUDFORMATION", &own)]]
            .concat();
    said(home.path(), &variables, &[]);
    said(home.path(), &variables, &["--endpoint-url", &given]);
    let came = [&at_all, &at_own, &at_given].map(|asked| asked.try_iter().count());
    assert_eq!(came, [0, 1, 1]);
}

#[test]
fn a_profile_of_the_command_line_is_stronger_than_keys_in_the_environment() {
    let (url, asked) = server();
    let home = home("[profile other]\nregion = us-west-1\ncredential_process = ./helper\n");
    let helper = home.path().join("helper");
    let answer = r#"{"Version":1,"AccessKeyId":"k","SecretAccessKey":"s","SessionToken":"t","Expiration":"2126-01-01T00:00:00Z"}"#;
    fs::write(&helper, format!("#!/bin/sh\necho >> started\necho '{answer}'\n")).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let variables = [&KEYS[..], &[REGION, ("AWS_ENDPOINT_URL", &url)]].concat();
    said(home.path(), &variables, &["--profile", "other", "--region", "us-west-2"]);
    let given = asked.recv_timeout(WAIT).unwrap();
    assert_eq!((given.scope(), given.token.as_deref()), (("k", "us-west-2"), Some("t")));
    said(home.path(), &[("AWS_ENDPOINT_URL", &url), ("AWS_PROFILE", "other")], &[]);
    assert_eq!(asked.recv_timeout(WAIT).unwrap().scope(), ("k", "us-west-1"));
    // A helper may ask for a code: one command starts it once.
    assert_eq!(fs::read_to_string(home.path().join("started")).unwrap().lines().count(), 2);
}

#[test]
fn a_service_is_where_its_partition_and_the_variables_say_and_reached_by_the_proxy() {
    let (url, asked) = server();
    let home = home("");
    for (region, variable, host) in [
        ("eu-central-1", "", "cloudformation.eu-central-1.amazonaws.com"),
        ("cn-north-1", "", "cloudformation.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "AWS_USE_FIPS_ENDPOINT", "cloudformation.us-gov-west-1.amazonaws.com"),
        ("us-east-1", "AWS_USE_FIPS_ENDPOINT", "cloudformation-fips.us-east-1.amazonaws.com"),
        ("eu-central-1", "AWS_USE_DUALSTACK_ENDPOINT", "cloudformation.eu-central-1.api.aws"),
    ] {
        let variable = Some((variable, "true")).filter(|(name, _)| !name.is_empty());
        let variables = [&KEYS[..], &[("AWS_REGION", region), ("HTTPS_PROXY", &url)]].concat();
        let variables: Vec<_> = variables.into_iter().chain(variable).collect();
        said(home.path(), &variables, &[]);
        assert_eq!(asked.recv_timeout(WAIT).unwrap().line, format!("CONNECT {host}:443 HTTP/1.1"));
        // It was tried again.
        asked.try_iter().for_each(drop);
    }
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let sso = home(
        "[default]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = reader\n\
         [sso-session work]\nsso_region = eu-central-1\nsso_start_url = https://example.com/start\n",
    );
    let odd = home("[default]\ncredential_process = echo '{\"SecretAccessKey\": \"hidden\"}'\n");
    let expired = home("[default]\ncredential_process = echo 'the session has expired' >&2; exit 255\n");
    let none = home("");
    let missing_file =
        said(none.path(), &[&KEYS[..], &[REGION, ("AWS_CA_BUNDLE", "/no/such")]].concat(), &[]);
    let told = [
        said(none.path(), &[], &[]),
        said(none.path(), &[REGION], &["--profile", "other"]),
        said(sso.path(), &[REGION], &[]),
        said(odd.path(), &[REGION], &[]),
        said(expired.path(), &[REGION], &[]),
        said(none.path(), &[REGION, KEYS[0]], &[]),
        said(none.path(), &KEYS, &[]),
        missing_file,
    ];
    assert!(!told.iter().any(|words| words.contains("hidden")), "{told:?}");
    insta::assert_snapshot!(told.join("\n\n"));
}
