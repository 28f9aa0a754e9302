//! `privet operator`: who may use the admin listener, and their second factors.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;
use zeroize::Zeroizing;

use crate::api;
use crate::api::OperatorRole;
use crate::api::Operators;
use crate::app;
use crate::clock::Entropy;
use crate::clock::SystemEntropy;
use crate::keys::KeysConfig;
use crate::keys::OperatorSecrets;

use super::admin::Caller;
use super::args::AdminArgs;
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::serve;

/// Adds an operator and prints their token, once; and, when they get a second factor, the address
/// for their authenticator app.
pub(super) fn add(config: &Path, name: &str, role: &str, totp: bool) -> Result<(), Failure> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !fits {
        return Err(Failure::new(
            Exit::Usage,
            "a name is 1 to 64 letters, digits, `.`, `_` or `-`",
        ));
    }
    let Some(role) = OperatorRole::parse(role) else {
        let known = OperatorRole::ALL.map(OperatorRole::as_str).join(", ");
        return Err(Failure::new(
            Exit::Usage,
            format_args!("`{role}` is no role; known are {known}"),
        ));
    };
    let config = check::load(config)?.config;
    let path = config.admin.operators_file;
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format_args!("`{}`: {e}", path.display()))
    };
    let text = if path.exists() {
        fs::read_to_string(&path).map_err(|e| wrong(&e))?
    } else {
        String::new()
    };
    if Operators::parse(&text).map_err(|e| wrong(&e))?.has(name) {
        return Err(Failure::new(Exit::Failed, format_args!("`{name}` is an operator already")));
    }
    let token = app::random_token(&SystemEntropy).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    let factor = totp.then(|| second_factor(&config.keys, name)).transpose()?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| wrong(&e))?;
    let sealed = factor.as_ref().map(|factor| factor.sealed.as_slice());
    let line = Operators::line(name, role, &token, sealed);
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| wrong(&e))?;
    tell(
        "This token is shown once. The gateway knows it after a reload: `systemctl reload privet`, or SIGHUP to its process.",
    );
    data(&format!("{token}\n"))?;
    if let Some(factor) = factor {
        tell(
            "The second line is for an authenticator app (as a QR code, or by hand), and is shown once too. Then: `privet operator verify --totp CODE`.",
        );
        data(&format!("{}\n", factor.uri.as_str()))?;
    }
    Ok(())
}

/// A second factor that was just made.
struct Factor {
    sealed: Vec<u8>,
    uri: Zeroizing<String>,
}

fn second_factor(keys: &KeysConfig, name: &str) -> Result<Factor, Failure> {
    let failed = |e: &dyn std::error::Error| Failure::caused(Exit::Failed, e);
    let secrets =
        serve::block_on(async { OperatorSecrets::read(keys).await.map_err(|e| failed(&e)) })?;
    let mut secret = Zeroizing::new([0; api::SECRET_LEN]);
    let mut random = [0; 16];
    SystemEntropy.fill(secret.as_mut()).map_err(|e| failed(&e))?;
    SystemEntropy.fill(&mut random).map_err(|e| failed(&e))?;
    let sealed = secrets.seal(name, secret.as_ref(), &random).map_err(|e| failed(&e))?;
    Ok(Factor { sealed, uri: api::otpauth(name, &secret) })
}

/// Shows that a second factor works.
pub(super) fn verify(at: &AdminArgs) -> Result<(), Failure> {
    if at.totp.is_none() {
        return Err(Failure::new(Exit::Usage, "--totp CODE is needed: the six digits of your app"));
    }
    let answer = Caller::new(at)?.post("/api/v1/operator/verify", &json!({}))?;
    let name = answer.get("operator").and_then(serde_json::Value::as_str).unwrap_or_default();
    data(&format!("ok: the second factor of `{name}` works; this code is used up\n"))
}
