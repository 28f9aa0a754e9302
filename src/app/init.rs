//! A first configuration in an empty folder: settings, policies, certificates, keys.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::OperatorRole;
use crate::api::Operators;
use crate::authn::AuthnError;
use crate::authn::DevIssuer;
use crate::clock::Entropy;
use crate::crypto::KdfCost;
use crate::keys::KeyRing;
use crate::keys::KeysConfig;
use crate::keys::RootProvider;
use crate::policy::schema;
use crate::types::told;

/// What differs between one first configuration and another.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Part of every derived key.
    pub tenant: String,
    /// Where the customer store answers.
    pub store: String,
    /// The gateway's port on loopback.
    pub gateway: u16,
    /// The admin listener's port on loopback.
    pub admin: u16,
    /// Whether the root key is the demo's, which everybody can open.
    pub demo: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tenant: "shop-example".into(),
            store: "http://127.0.0.1:7001".into(),
            gateway: 7410,
            admin: 7480,
            demo: false,
        }
    }
}

/// The folder could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A certificate or key could not be made.
    #[error("cannot make {what}: {why}")]
    Make {
        /// What was being made.
        what: &'static str,
        /// What went wrong.
        why: String,
    },
    /// Something of that name is there already, and was not touched.
    #[error("`{0}` exists already; choose an empty folder")]
    Taken(PathBuf),
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The root key's passphrase in demos. It is public, and `serve` refuses a root key it opens.
pub(super) const DEMO_PASSPHRASE: &str = "privet demo: everybody knows this passphrase";

/// The development issuer's name.
pub(super) const DEV_ISSUER: &str = "https://dev-issuer.privet.invalid";

/// Fills `folder` and lists the files written, in order. Nothing that exists is overwritten.
pub async fn init(
    folder: &Path,
    plan: &Plan,
    entropy: &dyn Entropy,
) -> Result<Vec<PathBuf>, InitError> {
    let config = folder.join("privet.toml");
    if config.exists() {
        return Err(InitError::Taken(config));
    }
    let mut out = Folder { root: folder, written: Vec::new() };
    out.directory("policies", 0o755)?;
    out.directory("certs", 0o755)?;
    out.directory("data", 0o700)?;

    for (name, text) in POLICIES {
        let text = if plan.demo { (*text).to_owned() } else { migrating(text) };
        out.file(&format!("policies/{name}"), text.as_bytes(), 0o644)?;
    }
    // For editors: they look words up in it, and underline those that are none.
    for (name, schema) in [("policy", schema::policy()), ("policy-test", schema::test())] {
        out.file(
            &format!("policies/{name}.schema.json"),
            format!("{schema:#}\n").as_bytes(),
            0o644,
        )?;
    }
    certificates(&mut out)?;
    issuer(&mut out)?;
    root_key(&mut out, plan, entropy).await?;
    let token = random_token(entropy)?;
    let line = Operators::line("first-operator", OperatorRole::Admin, &token, None);
    out.file("operators", line.as_bytes(), 0o600)?;
    out.file("operator.token", format!("{token}\n").as_bytes(), 0o600)?;
    out.file("privet.service", unit(folder).as_bytes(), 0o644)?;
    out.file("privet.socket", socket(plan).as_bytes(), 0o644)?;
    // Last, because its presence says that the folder is complete.
    out.file("privet.toml", settings(plan).as_bytes(), 0o644)?;
    Ok(out.written)
}

/// A new token for an operator: 256 bits.
pub fn random_token(entropy: &dyn Entropy) -> Result<String, InitError> {
    let mut bytes = [0; 32];
    entropy
        .fill(&mut bytes)
        .map_err(|e| InitError::Make { what: "a token", why: e.to_string() })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

const POLICIES: &[(&str, &str)] = &[
    ("customer-care.yaml", include_str!("../../policies/customer-care.yaml")),
    ("customer-care.test.yaml", include_str!("../../policies/customer-care.test.yaml")),
];

/// A policy for a store that holds records already: what is not sealed yet is shown all the same,
/// until somebody has moved it in.
fn migrating(policy: &str) -> String {
    policy.replace("at_rest: encrypt", "at_rest: encrypt, encryption: migrating").replace(
        "# ---- 2. What the data is.",
        "# `encryption: migrating`: the store still holds values from before. Once `privet store backfill`\n\
         # has sealed them, take the words out: then a value that is not sealed is shown to nobody.\n\n\
         # ---- 2. What the data is.",
    )
}

fn settings(plan: &Plan) -> String {
    include_str!("../../dist/privet.toml")
        .replace("@TENANT@", &plan.tenant)
        .replace("@STORE@", &plan.store)
        .replace("@GATEWAY@", &plan.gateway.to_string())
        .replace("@ADMIN@", &plan.admin.to_string())
        .replace("@ISSUER@", DEV_ISSUER)
}

fn unit(folder: &Path) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let binary = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/privet".into());
    include_str!("../../dist/privet.service")
        .replace("@DIR@", &folder.display().to_string())
        .replace("@BINARY@", &binary.display().to_string())
        .replace("@USER@", &rustix::process::geteuid().as_raw().to_string())
}

fn socket(plan: &Plan) -> String {
    include_str!("../../dist/privet.socket").replace("@GATEWAY@", &plan.gateway.to_string())
}

/// A local certificate authority and a certificate for the gateway on this machine.
fn certificates(out: &mut Folder<'_>) -> Result<(), InitError> {
    let make = |e: rcgen::Error| InitError::Make { what: "a certificate", why: e.to_string() };
    let mut authority = rcgen::CertificateParams::new(Vec::new()).map_err(make)?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    authority.key_usages =
        vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Privet local authority");
    let authority_key = rcgen::KeyPair::generate().map_err(make)?;
    let authority_cert = authority.self_signed(&authority_key).map_err(make)?;
    let signer = rcgen::Issuer::new(authority, authority_key);

    let names = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
    let mut gateway = rcgen::CertificateParams::new(names).map_err(make)?;
    gateway.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    gateway.distinguished_name.push(rcgen::DnType::CommonName, "Privet gateway");
    let gateway_key = rcgen::KeyPair::generate().map_err(make)?;
    let gateway_cert = gateway.signed_by(&gateway_key, &signer).map_err(make)?;

    out.file("certs/ca.pem", authority_cert.pem().as_bytes(), 0o644)?;
    out.file("certs/gateway.pem", gateway_cert.pem().as_bytes(), 0o644)?;
    out.file("certs/gateway.key", gateway_key.serialize_pem().as_bytes(), 0o600)
}

/// The development issuer that `token mint` uses.
fn issuer(out: &mut Folder<'_>) -> Result<(), InitError> {
    let make = |e: AuthnError| InitError::Make { what: "the issuer", why: e.to_string() };
    let folder = out.root.join("certs");
    DevIssuer::create(&folder).map_err(make)?;
    out.written.extend([folder.join(DevIssuer::KEY_FILE), folder.join(DevIssuer::JWKS_FILE)]);
    Ok(())
}

async fn root_key(
    out: &mut Folder<'_>,
    plan: &Plan,
    entropy: &dyn Entropy,
) -> Result<(), InitError> {
    let passphrase = if plan.demo { DEMO_PASSPHRASE.into() } else { random_token(entropy)? };
    out.file("data/root.passphrase", format!("{passphrase}\n").as_bytes(), 0o600)?;
    let config = KeysConfig {
        root: RootProvider::File {
            path: out.root.join("data/root.key"),
            passphrase_file: out.root.join("data/root.passphrase"),
        },
        cached: KeysConfig::CACHED,
        high_water: None,
        dir: out.root.join("data/keys"),
        tenant: plan.tenant.clone(),
    };
    // A demo's passphrase is public, so nothing is gained by making it slow to try.
    let cost = if plan.demo { KdfCost::FLOOR } else { KdfCost::DEFAULT };
    KeyRing::init(&config, cost, entropy)
        .await
        .map_err(|e| InitError::Make { what: "the root key", why: told(&e) })?;
    out.written.push(out.root.join("data/root.key"));
    out.find(&config.dir)
}

struct Folder<'a> {
    root: &'a Path,
    written: Vec<PathBuf>,
}

impl Folder<'_> {
    fn directory(&self, name: &str, mode: u32) -> Result<(), InitError> {
        use std::os::unix::fs::DirBuilderExt;
        let path = self.root.join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&path)
            .map_err(|source| InitError::Write { path, source })
    }

    /// Lists the files that somebody else wrote below `folder`.
    fn find(&mut self, folder: &Path) -> Result<(), InitError> {
        let wrong = |source| InitError::Write { path: folder.to_owned(), source };
        let entries = fs::read_dir(folder).map_err(wrong)?;
        let paths: io::Result<Vec<_>> = entries.map(|entry| entry.map(|e| e.path())).collect();
        let mut paths = paths.map_err(wrong)?;
        paths.sort();
        for path in paths {
            if path.is_dir() { self.find(&path)? } else { self.written.push(path) }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, bytes: &[u8], mode: u32) -> Result<(), InitError> {
        let path = self.root.join(name);
        let wrong = |source| InitError::Write { path: path.clone(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(
                |source| match source.kind() {
                    io::ErrorKind::AlreadyExists => InitError::Taken(path.clone()),
                    _ => wrong(source),
                },
            )?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(wrong)?;
        self.written.push(path);
        Ok(())
    }
}
