//! The gateway's own certificate, and how it changes while connections stay open.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::clock::Clock;

use super::NetError;
use super::files;

/// Where the gateway's certificate is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsConfig {
    /// The certificate chain in PEM, the gateway's own first.
    pub cert: PathBuf,
    /// Its private key in PEM; only its owner may read the file.
    pub key_file: PathBuf,
    /// Authorities in PEM whose client certificates are accepted. A client may still come without
    /// a certificate; one that shows a wrong certificate is refused.
    pub client_ca: Option<PathBuf>,
}

/// The certificate in use. Handshakes that started keep the one they started with.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsConfig,
    clock: Arc<dyn Clock>,
    current: ArcSwap<ServerConfig>,
}

/// A certificate that was read and checked, and is not in use yet.
#[derive(Debug)]
pub struct NextTls(Arc<ServerConfig>);

impl ServerTls {
    /// Reads the files. TLS 1.2 and 1.3, `h2` and `http/1.1`, no early data.
    pub fn load(files: TlsConfig, clock: Arc<dyn Clock>) -> Result<Self, NetError> {
        let current = ArcSwap::from_pointee(read(&files, &*clock)?);
        Ok(Self { files, clock, current })
    }

    /// Reads the files again. When they cannot be used the old certificate stays, and the error
    /// says why.
    pub fn reload(&self) -> Result<(), NetError> {
        self.replace(self.prepare()?);
        Ok(())
    }

    /// Reads the files again without using them yet.
    pub fn prepare(&self) -> Result<NextTls, NetError> {
        read(&self.files, &*self.clock).map(|config| NextTls(Arc::new(config)))
    }

    /// Uses what was prepared for every handshake from now on.
    pub fn replace(&self, next: NextTls) {
        self.current.store(next.0);
    }

    /// The configuration for a handshake that starts now.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// The only cryptography TLS uses here.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Reads every certificate of a PEM file; an empty one is an error.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let pem = files::read_bounded(path, MAX_FILE)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(unusable(path, "it holds no PEM block `CERTIFICATE`".into()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path, format!("not PEM: {error}"))),
    }
}

/// Reads the private key of a PEM file that only its owner may read.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, NetError> {
    let pem = files::read_secret(path, MAX_FILE)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| unusable(path, format!("no private key in PEM: {error}")))
}

/// Reads the authorities of a PEM file.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, NetError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(path, format!("not an authority: {error}")))?;
    }
    Ok(roots)
}

fn read(files: &TlsConfig, clock: &dyn Clock) -> Result<ServerConfig, NetError> {
    let chain = certificates(&files.cert)?;
    check_dates(&chain, files, clock)?;
    let key = private_key(&files.key_file)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(&files.cert, error.to_string()))?;
    let builder = match &files.client_ca {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let key = files.key_file.display();
        unusable(&files.cert, format!("it does not go with the key `{key}`: {error}"))
    })?;
    config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
    Ok(config)
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, NetError> {
    let roots = Arc::new(authorities(path)?);
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(path, error.to_string()))
}

/// A certificate outside its dates would fail every client, so the old one is better.
fn check_dates(
    chain: &[CertificateDer<'_>],
    files: &TlsConfig,
    clock: &dyn Clock,
) -> Result<(), NetError> {
    let Some(first) = chain.first() else { return Ok(()) };
    let (_, certificate) = X509Certificate::from_der(first)
        .map_err(|error| unusable(&files.cert, format!("not a certificate: {error}")))?;
    let now = i64::try_from(clock.now().unix_s()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now >= validity.not_after.timestamp() {
        return Err(unusable(&files.cert, "it has expired; issue a new one".into()));
    }
    if now < validity.not_before.timestamp() {
        return Err(unusable(
            &files.cert,
            "it is not valid yet; check this machine's clock".into(),
        ));
    }
    Ok(())
}

fn unusable(path: &Path, what: String) -> NetError {
    NetError::Certificate { path: path.to_owned(), what }
}

pub(super) const ALPN_H2: &[u8] = b"h2";
pub(super) const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Certificates and keys are a few kilobytes; bundles of authorities a few hundred.
const MAX_FILE: u64 = 4 << 20;
