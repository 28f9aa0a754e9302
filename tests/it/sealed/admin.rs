//! The admin listener of a gateway of the tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;

use privet::api::Admin;
use privet::api::Check;
use privet::api::Mfa;
use privet::api::Operators;
use privet::api::Reloaded;
use privet::api::RotateSubject;
use privet::api::router;
use privet::clock::Clock;
use privet::clock::SystemClock;
use privet::clock::SystemEntropy;
use privet::jobs::Jobs;
use privet::jobs::JobsConfig;
use privet::jobs::Kinds;
use privet::policy::PolicySet;
use privet::proxy::Shared;
use privet::state::Engine;

use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::exchange;

/// The part of a running gateway that the admin listener asks for its policy.
#[derive(Debug)]
struct Running(Arc<Shared>);

impl privet::api::Gateway for Running {
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    fn policy(&self) -> Arc<PolicySet> {
        self.0.policy()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn reload(&self) -> Result<Reloaded, String> {
        Err("not here".to_owned())
    }
}

/// Opens the admin listener of a gateway for the operators of a file; `clock` is that of their
/// second factors.
pub(crate) async fn start(gateway: &Gateway, operators: &str, clock: Arc<dyn Clock>) -> SocketAddr {
    let sources = (Arc::new(SystemClock) as _, Arc::new(SystemEntropy) as _);
    let state = Engine::memory();
    let admin = Admin {
        gateway: Arc::new(Running(Arc::clone(&gateway.shared))),
        cards: gateway.cards.clone(),
        authenticator: gateway.authenticator.clone(),
        approvals: gateway.approvals.clone(),
        jobs: Jobs::new(state.clone(), sources, Kinds::default(), JobsConfig::default()),
        keys: gateway.keys.clone(),
        rotation: Arc::new(RotateSubject::new(gateway.cards.clone())),
        shred_within: Duration::from_secs(3_600),
        mfa: Mfa::new(state, clock),
        inbox: gateway.inbox.clone(),
        log: gateway.log.clone(),
        operators: Arc::new(ArcSwap::from_pointee(Operators::parse(operators).unwrap())),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router(Arc::new(admin))).into_future());
    address
}

/// Sends `body` as the operator whose token is `token-` and their name, with a code of theirs.
pub(super) async fn post(
    admin: SocketAddr,
    operator: &str,
    path: &str,
    (code, body): (Option<&str>, &Value),
) -> Reply {
    let code = code.map(|code| format!("Privet-Totp: {code}\r\n")).unwrap_or_default();
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{code}\
         Authorization: Bearer token-{operator}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Reply::parse(exchange(admin, request.as_bytes()).await, false)
}
