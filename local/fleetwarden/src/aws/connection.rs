//! The HTTP client of all calls to AWS: with TLS where the address asks for it, and by the proxies that the environment
//! names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).

use anyhow::{Context as _, Result};
use aws_smithy_http_client::pool::{Builder, Client, ConnectionPool};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared as _;
use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between looks at a connection on which nothing comes. What stands between forgets a silent one after minutes,
/// and a function may be silent for longer.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A client that reads the trusted certificates when it first meets an address with TLS: those of this machine, or
/// those in a file of its own (`AWS_CA_BUNDLE`).
pub(crate) fn client(ca_bundle: Option<&str>) -> Result<SharedHttpClient> {
    let trust = ca_bundle.map(|path| {
        let pem = fs::read(path).with_context(|| format!("cannot read AWS_CA_BUNDLE {path}"))?;
        let trust = tls::TrustStore::empty().with_pem_certificate(pem);
        let context = tls::TlsContext::builder().with_trust_store(trust).build();
        context.with_context(|| format!("AWS_CA_BUNDLE {path} holds no certificates"))
    });
    let plain = Client::new(&pool().build_http()?)?;
    Ok(ByScheme { plain, trust: trust.transpose()?, tls: Arc::default() }.into_shared())
}

/// A client for the endpoints of this machine alone: without TLS and without a proxy.
pub(crate) fn loopback() -> Result<SharedHttpClient> {
    let pool = ConnectionPool::builder().proxy_config(ProxyConfig::disabled()).build_http()?;
    Ok(Client::new(&pool)?.into_shared())
}

fn pool() -> Builder {
    ConnectionPool::builder().tcp_keepalive(KEEPALIVE).proxy_config(ProxyConfig::from_env())
}

/// Plain connections, and those with TLS once one is asked for: a machine without certificates has none to read where
/// no address needs them.
#[derive(Clone, Debug)]
struct ByScheme {
    plain: Client,
    trust: Option<tls::TlsContext>,
    tls: Arc<OnceLock<Result<Client, String>>>,
}

impl ByScheme {
    fn tls(&self) -> Result<&Client, ConnectorError> {
        let client = self.tls.get_or_init(|| {
            let pool = pool().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
            let pool = match &self.trust {
                Some(trust) => pool.tls_context(trust.clone()),
                None => pool,
            };
            let pool = pool.build_https().map_err(|error| error.to_string())?;
            Client::new(&pool).map_err(|error| error.to_string())
        });
        client.as_ref().map_err(|why| ConnectorError::user(why.clone().into()))
    }
}

impl HttpClient for ByScheme {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let (client, settings, components) = (self.clone(), settings.clone(), components.clone());
        SharedHttpConnector::new(Connector { client, settings, components })
    }
}

#[derive(Debug)]
struct Connector {
    client: ByScheme,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { client, settings, components } = self;
        let chosen = if request.uri().starts_with("https:") { client.tls() } else { Ok(&client.plain) };
        match chosen {
            Ok(client) => client.http_connector(settings, components).call(request),
            Err(error) => HttpConnectorFuture::ready(Err(error)),
        }
    }
}
