//! The `host:port` a request is meant for.

use std::fmt;

use super::HeadError;

/// A host and an optional port, in lower case.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Authority(String);

impl Authority {
    /// Reads `host` or `host:port`; user information is refused.
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        let (host, port) = split_port(text).ok_or(HeadError::HostInvalid)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let literal = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let valid = match literal {
            Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(plain),
        };
        let port_valid =
            port.is_none_or(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok());
        if text.len() > 262 || !valid || !port_valid {
            return Err(HeadError::HostInvalid);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The whole, as in `Host`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone, brackets of an IPv6 literal included.
    pub fn host(&self) -> &str {
        split_port(&self.0).map_or("", |(host, _)| host)
    }

    /// The port, when one is named.
    pub fn port(&self) -> Option<u16> {
        split_port(&self.0).and_then(|(_, port)| port?.parse().ok())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at_checked(end)?;
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None if rest.is_empty() => Some((host, None)),
        None => None,
    }
}
