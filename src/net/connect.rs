//! Connecting out: by name or address, in the clear or under TLS, within one deadline.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::ConfigBuilder;
use rustls::RootCertStore;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::TlsStream;

use super::NetError;
use super::Stream;
use super::server_tls;

/// Whom a TLS client believes. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<ClientConfig>);

/// A certificate to show as a client, and where its key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientIdentity {
    /// The certificate chain in PEM, the client's own first.
    pub cert: PathBuf,
    /// Its private key in PEM; only its owner may read the file.
    pub key_file: PathBuf,
}

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
    /// Whom to believe; in the clear without.
    pub tls: Option<ClientTls>,
}

impl ClientTls {
    /// Believes the authorities in the PEM file `ca`, or the system's when there is none. Speaks
    /// HTTP/1.1.
    pub fn new(ca: Option<&Path>) -> Result<Self, NetError> {
        let config = builder(ca)?.with_no_client_auth();
        Ok(Self::of(config))
    }

    /// As [`new`](Self::new), and shows a certificate to servers that ask for one.
    pub fn with_identity(ca: Option<&Path>, identity: &ClientIdentity) -> Result<Self, NetError> {
        let chain = server_tls::certificates(&identity.cert)?;
        let key = server_tls::private_key(&identity.key_file)?;
        let config = builder(ca)?.with_client_auth_cert(chain, key).map_err(|error| {
            let key = identity.key_file.display();
            let what = format!("it does not go with the key `{key}`: {error}");
            NetError::Certificate { path: identity.cert.clone(), what }
        })?;
        Ok(Self::of(config))
    }

    /// The same for servers that speak something else than HTTP.
    #[must_use]
    pub fn without_alpn(self) -> Self {
        let mut config = Arc::unwrap_or_clone(self.0);
        config.alpn_protocols.clear();
        Self(Arc::new(config))
    }

    fn of(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![server_tls::ALPN_HTTP1.to_vec()];
        Self(Arc::new(config))
    }
}

fn builder(ca: Option<&Path>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, NetError> {
    let roots = match ca {
        Some(path) => server_tls::authorities(path)?,
        None => system_roots()?,
    };
    ClientConfig::builder_with_provider(server_tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| no_roots(error.to_string()))
        .map(|builder| builder.with_root_certificates(roots))
}

impl Target {
    /// Reads the scheme, host and port of a URL. `https` needs `tls` to believe somebody; `http`
    /// ignores it.
    pub fn from_uri(uri: &Uri, tls: Option<&ClientTls>) -> Result<Self, NetError> {
        let wrong = |what| NetError::Url { text: uri.to_string().into(), what };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(NetError::Url {
                // Not the URL itself: the part before the `@` may be a password.
                text: authority.host().into(),
                what: "it holds a user name; put credentials in a file",
            });
        }
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(tls.cloned().ok_or_else(|| wrong("TLS is not set up"))?), 443),
            _ => return Err(wrong("it starts with neither `http://` nor `https://`")),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').into();
        Ok(Self { host, port: authority.port_u16().unwrap_or(default_port), tls })
    }
}

/// Connects to `target`, trying each of its addresses. `timeout` covers the look-up of the name,
/// the connection and the handshake.
pub async fn connect(target: &Target, timeout: Duration) -> Result<Stream, NetError> {
    tokio::time::timeout(timeout, open(target, timeout))
        .await
        .map_err(|_| NetError::Timeout { what: "connecting", limit_ms: timeout.as_millis() })?
}

async fn open(target: &Target, timeout: Duration) -> Result<Stream, NetError> {
    let failed = |source| NetError::Connect { host: target.host.clone(), source };
    let socket = open_any(target, timeout).await.map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    let Some(ClientTls(config)) = &target.tls else { return Ok(Stream::Plain(socket)) };
    let name = ServerName::try_from(target.host.to_string())
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let stream = TlsConnector::from(Arc::clone(config))
        .connect(name, socket)
        .await
        .map_err(NetError::Handshake)?;
    Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
}

/// The first address that answers. Each gets an even share of the time left, so that a dead first
/// address leaves time for the second.
async fn open_any(target: &Target, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let found = tokio::net::lookup_host((&*target.host, target.port)).await?;
    let addresses: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut left = u32::try_from(addresses.len()).unwrap_or(1);
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

fn system_roots() -> Result<RootCertStore, NetError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems ship authorities that no verifier accepts; the others are enough.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(no_roots("the system has no trusted authorities; name a `ca` file".into()));
    }
    Ok(roots)
}

fn no_roots(what: String) -> NetError {
    NetError::Certificate { path: "system trust store".into(), what }
}

const MAX_ADDRESSES: usize = 8;
