//! Which names the admin listener answers to.
//!
//! A page from anywhere may have its own name point at this machine (DNS rebinding), and its
//! visitor's browser then talks to the admin listener as that page's own server. Such a call
//! carries the page's name.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use http::header;

use crate::protocol::http::ProblemKind;

use super::answer::Refused;

/// Refuses calls that name another host than an IP address or `localhost`.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST).iter();
    let headers_fit = named.map(|host| host.to_str()).all(|host| host.is_ok_and(is_local));
    let target_fits = request.uri().authority().is_none_or(|host| is_local(host.as_str()));
    if headers_fit && target_fits {
        return next.run(request).await;
    }
    let what = "the admin listener answers to an IP address or `localhost`, not to names";
    Refused::new(ProblemKind::Denied, what).into_response()
}

/// Whether this is an IP address or `localhost`, with or without a port.
fn is_local(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) => (name, None),
        Some((name, rest)) => match rest.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let is_number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    port.is_none_or(is_number)
        && (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_addresses_and_localhost_are_answered_to() {
        for host in
            ["127.0.0.1:7480", "127.0.0.1", "[::1]:7480", "[::1]", "localhost:1", "LocalHost"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7480",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "[::1]evil.example",
            "localhost:7480@evil.example",
            "localhost:",
            "",
            "a:b:c",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
