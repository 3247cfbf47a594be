//! What this machine says of AWS: credentials, region and addresses.
//!
//! The environment is asked first, under the names that all AWS tools share. What it does not say, the AWS CLI is
//! asked for: it knows profiles, roles, single sign-on and instances, and whoever works with AWS has it.

use super::Service;
use anyhow::{Context as _, Result, anyhow, bail};
use aws_credential_types::Credentials;
use clap::Args;
use fleetwarden_core::untrusted::shown;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::{Output, Stdio};
use tokio::process::Command;

/// What to do where there are no credentials.
const SIGN_IN: &str = "sign in with it (aws sso login, aws configure, AWS_PROFILE), or set AWS_ACCESS_KEY_ID, \
     AWS_SECRET_ACCESS_KEY and, where there is one, AWS_SESSION_TOKEN";

/// Who asks, and where.
#[derive(Debug)]
pub(crate) struct Settings {
    credentials: Credentials,
    region: String,
    fips: bool,
    dual_stack: bool,
    /// Addresses in place of AWS's own.
    endpoints: BTreeMap<Service, String>,
}

/// What the command line says of AWS, in the AWS CLI's words: it is stronger than all else.
#[derive(Debug, Default, Args)]
pub(crate) struct Wanted {
    /// Region, in place of what the environment and the AWS CLI say
    #[arg(long, global = true)]
    region: Option<String>,
    /// Profile of the AWS CLI, in place of what the environment says
    #[arg(long, global = true)]
    profile: Option<String>,
    /// Address of the stack's Lambda and CloudFormation, in place of AWS's
    #[arg(long, value_name = "URL", global = true)]
    endpoint_url: Option<String>,
}

/// What `aws configure export-credentials` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Settings {
    /// Finds them.
    pub(crate) async fn find() -> Result<Self> {
        Self::of(&Wanted::default()).await
    }

    /// Finds them where the command line says something of them.
    pub(crate) async fn of(wanted: &Wanted) -> Result<Self> {
        Self::from(&|name| std::env::var(name).ok(), wanted, "aws").await
    }

    async fn from(
        variable: &(dyn Fn(&str) -> Option<String> + Sync),
        wanted: &Wanted,
        cli: &str,
    ) -> Result<Self> {
        let Wanted { region, profile, endpoint_url } = wanted;
        let cli = &Cli { command: cli, profile: profile.as_deref() };
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_on = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = |service: Service| {
            let own = format!("AWS_ENDPOINT_URL_{}", service.name().to_ascii_uppercase());
            let given = endpoint_url.clone().map(|url| ("--endpoint-url".to_owned(), url));
            let (name, url) = given.or_else(|| {
                [own, "AWS_ENDPOINT_URL".to_owned()].into_iter().find_map(|name| {
                    let url = variable(&name)?;
                    Some((name, url))
                })
            })?;
            Some(match url.split_once("://") {
                Some(("http" | "https", _)) => Ok((service, url.trim_end_matches('/').to_owned())),
                _ => Err(anyhow!("{name} must begin with http:// or https://: '{}'", shown(&url))),
            })
        };
        let endpoints = Service::ALL.into_iter().filter_map(endpoint).collect::<Result<_>>()?;
        let credentials = async {
            let id = variable("AWS_ACCESS_KEY_ID").filter(|_| profile.is_none());
            let Some(id) = id else { return exported(cli).await };
            let secret = variable("AWS_SECRET_ACCESS_KEY");
            let secret = secret.context("AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not")?;
            Ok(Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment"))
        };
        let given = region.clone();
        let region = async {
            match given.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION")) {
                Some(region) => Ok(region),
                None => configured_region(cli).await,
            }
        };
        let (credentials, region) = tokio::try_join!(credentials, region)?;
        Ok(Self {
            credentials,
            region,
            fips: is_on("AWS_USE_FIPS_ENDPOINT"),
            dual_stack: is_on("AWS_USE_DUALSTACK_ENDPOINT"),
            endpoints,
        })
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// As `eu-central-1`.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// A service's address that somebody has set, without a slash at its end.
    pub(crate) fn endpoint(&self, service: Service) -> Option<&str> {
        self.endpoints.get(&service).map(String::as_str)
    }

    /// A service's host in AWS ("AWS service endpoints"; the SDKs' endpoint rules).
    pub(crate) fn host(&self, service: Service) -> String {
        let Self { region, fips, dual_stack, .. } = self;
        let (domain, dual_stack_domain) = if region.starts_with("cn-") {
            ("amazonaws.com.cn", "api.amazonwebservices.com.cn")
        } else {
            ("amazonaws.com", "api.aws")
        };
        // In GovCloud, the only endpoint of CloudFormation keeps to FIPS and has a plain name.
        let plain = service == Service::CloudFormation && region.starts_with("us-gov-") && !dual_stack;
        let fips = if *fips && !plain { "-fips" } else { "" };
        let service_name = service.name();
        match (service, *dual_stack) {
            (_, false) => format!("{service_name}{fips}.{region}.{domain}"),
            (Service::S3, true) => format!("s3{fips}.dualstack.{region}.{domain}"),
            (_, true) => format!("{service_name}{fips}.{region}.{dual_stack_domain}"),
        }
    }

    /// A service's address, without a slash at its end.
    pub(crate) fn url(&self, service: Service) -> String {
        self.endpoint(service).map_or_else(|| format!("https://{}", self.host(service)), str::to_owned)
    }
}

/// The AWS CLI, and the profile of it that is wanted.
struct Cli<'a> {
    command: &'a str,
    profile: Option<&'a str>,
}

/// The AWS CLI's credentials.
async fn exported(cli: &Cli<'_>) -> Result<Credentials> {
    let Some(output) = ask(cli, &["configure", "export-credentials", "--format", "process"]).await? else {
        bail!("no credentials of AWS: there is no AWS CLI to ask for them; install it and {SIGN_IN}");
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        // Version 1 knows no such command and shows all that it knows.
        let words = if words.contains("Invalid choice") {
            "version 2 hands them out, and this is an older one"
        } else {
            words.trim()
        };
        bail!("no credentials of AWS from the AWS CLI: {words}; {SIGN_IN}");
    }
    // What it printed is secret, so the error does not show it.
    let Ok(exported) = serde_json::from_slice::<Exported>(&output.stdout) else {
        bail!(
            "no credentials of AWS: cannot read what aws configure export-credentials --format process prints"
        );
    };
    let Exported { access_key_id, secret_access_key, session_token } = exported;
    Ok(Credentials::new(access_key_id, secret_access_key, session_token, None, "AWS CLI"))
}

/// The AWS CLI's region.
async fn configured_region(cli: &Cli<'_>) -> Result<String> {
    let output = ask(cli, &["configure", "get", "region"]).await?;
    let region = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    region
        .filter(|region| !region.is_empty())
        .context("no region: set AWS_REGION, or aws configure set region eu-central-1")
}

/// What the AWS CLI answers, if there is one.
async fn ask(cli: &Cli<'_>, arguments: &[&str]) -> Result<Option<Output>> {
    let Cli { command, profile } = cli;
    let profile = profile.iter().flat_map(|profile| ["--profile", profile]);
    // A code that it wants to know it asks for at the terminal; standard input may be the event.
    let output = Command::new(command)
        .args(arguments)
        .args(profile)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match output {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot start {command}")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    /// Settings that lead to a server on this machine.
    pub(crate) fn at(endpoint: &str) -> Settings {
        Settings {
            endpoints: Service::ALL.map(|service| (service, endpoint.to_owned())).into(),
            ..in_region("eu-central-1")
        }
    }

    /// Settings that lead to AWS.
    pub(crate) fn in_region(region: &str) -> Settings {
        Settings {
            credentials: Credentials::new("id", "secret", Some("token".into()), None, "test"),
            region: region.into(),
            fips: false,
            dual_stack: false,
            endpoints: BTreeMap::new(),
        }
    }

    /// A command in place of the AWS CLI.
    fn cli(script: &str) -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aws");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let path = path.to_string_lossy().into_owned();
        (folder, path)
    }

    async fn from(variables: &[(&str, &str)], cli: &str) -> Result<Settings> {
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::from(&|name| variables.get(name).cloned(), &Wanted::default(), cli).await
    }

    async fn refused(variables: &[(&str, &str)], cli: &str) -> String {
        format!("{:#}", from(variables, cli).await.unwrap_err())
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    const REGION: (&str, &str) = ("AWS_REGION", "eu-central-1");

    #[tokio::test]
    async fn an_address_without_a_scheme_is_refused_by_the_name_of_its_variable() {
        for (name, url) in
            [("AWS_ENDPOINT_URL", "localhost:4566"), ("AWS_ENDPOINT_URL_LAMBDA", "ftp://x\u{1b}")]
        {
            let error = refused(&[&KEYS[..], &[REGION, (name, url)]].concat(), "/no/such/aws").await;
            let shown = shown(url);
            assert_eq!(error, format!("{name} must begin with http:// or https://: '{shown}'"));
        }
    }

    #[tokio::test]
    async fn what_the_environment_says_nobody_else_is_asked() {
        let given = [&KEYS[..], &[("AWS_SESSION_TOKEN", ""), ("AWS_DEFAULT_REGION", "us-east-1")]].concat();
        let settings = from(&given, "/no/such/aws").await.unwrap();
        assert_eq!((settings.region(), settings.credentials.session_token()), ("us-east-1", None));
        let settings = from(&[&given[..], &[REGION]].concat(), "/no/such/aws").await.unwrap();
        assert_eq!(settings.region(), "eu-central-1");
        assert_eq!(settings.url(Service::Lambda), "https://lambda.eu-central-1.amazonaws.com");
    }

    #[tokio::test]
    async fn an_endpoint_of_one_service_is_stronger_than_that_of_all() {
        let endpoints =
            [REGION, ("AWS_ENDPOINT_URL", "http://all/"), ("AWS_ENDPOINT_URL_LAMBDA", "http://lambda")];
        let settings = from(&[&KEYS[..], &endpoints].concat(), "/no/such/aws").await.unwrap();
        assert_eq!(
            Service::ALL.map(|service| settings.url(service)),
            ["http://all", "http://all", "http://lambda", "http://all"]
        );
    }

    #[tokio::test]
    async fn the_aws_cli_is_asked_for_what_the_environment_does_not_say() {
        let (_folder, aws) = cli(r#"case "$2" in
            export-credentials) [ "$4" = process ] &&
                echo '{"Version":1,"AccessKeyId":"k","SecretAccessKey":"s","SessionToken":"t","Expiration":"x"}';;
            get) echo ap-southeast-2;;
            esac"#);
        let settings = from(&[], &aws).await.unwrap();
        let credentials = settings.credentials();
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("k", Some("t")));
        assert_eq!(settings.region(), "ap-southeast-2");
    }

    #[tokio::test]
    async fn what_the_command_line_says_is_stronger_than_all_else() {
        let (_folder, aws) = cli(r#"case "$2 $6 $5" in
            "export-credentials other --profile") echo '{"AccessKeyId":"k","SecretAccessKey":"s"}';;
            *) exit 1;;
            esac"#);
        let variables = [&KEYS[..], &[REGION, ("AWS_ENDPOINT_URL_LAMBDA", "http://lambda")]].concat();
        let wanted = |region: Option<&str>, profile: Option<&str>, url: Option<&str>| Wanted {
            region: region.map(str::to_owned),
            profile: profile.map(str::to_owned),
            endpoint_url: url.map(str::to_owned),
        };
        let find = async |wanted: Wanted| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            Settings::from(&variable, &wanted, &aws).await
        };
        let settings = find(wanted(Some("us-west-2"), Some("other"), Some("http://here/"))).await.unwrap();
        assert_eq!((settings.region(), settings.credentials().access_key_id()), ("us-west-2", "k"));
        assert_eq!(settings.url(Service::Lambda), "http://here");
        let settings = find(wanted(None, None, None)).await.unwrap();
        assert_eq!((settings.region(), settings.credentials().access_key_id()), ("eu-central-1", "id"));
        let error = find(wanted(None, None, Some("here"))).await.unwrap_err().to_string();
        assert_eq!(error, "--endpoint-url must begin with http:// or https://: 'here'");
    }

    #[tokio::test]
    async fn what_is_missing_is_told_with_what_to_do() {
        let nowhere = "/no/such/aws";
        let (_one, expired) =
            cli("echo 'Error when retrieving token from sso: Token has expired' >&2; exit 255");
        let (_two, old) =
            cli("echo 'usage: aws\naws: error: argument subcommand: Invalid choice' >&2; exit 2");
        let (_three, odd) = cli("echo '{\"SecretAccessKey\": \"hidden\"}'");
        insta::assert_snapshot!(
            [
                refused(&[REGION], nowhere).await,
                refused(&[REGION], &expired).await,
                refused(&[REGION], &old).await,
                refused(&[REGION], &odd).await,
                refused(&[REGION, KEYS[0]], nowhere).await,
                refused(&KEYS, nowhere).await,
                refused(&KEYS, &expired).await,
            ]
            .join("\n\n")
        );
    }

    #[test]
    fn a_service_is_where_its_partition_and_the_variables_say() {
        let hosts = |region: &str, fips, dual_stack| {
            let settings = Settings { fips, dual_stack, ..in_region(region) };
            Service::ALL.map(|service| settings.host(service)).join(" ")
        };
        let all = ["eu-central-1", "us-gov-west-1", "cn-north-1"].map(|region| {
            [(false, false), (true, false), (false, true), (true, true)]
                .map(|(fips, dual_stack)| hosts(region, fips, dual_stack))
                .join("\n")
        });
        insta::assert_snapshot!(all.join("\n"));
    }
}
