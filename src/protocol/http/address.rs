//! Where a client really calls from, behind proxies that are trusted to say so.

use core::net::IpAddr;
use core::net::SocketAddr;
use std::str::FromStr;

use http::HeaderMap;
use http::header;

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(net.to_bits().into(), ip.to_bits().into(), self.bits, 32)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                same_prefix(net.to_bits(), ip.to_bits(), self.bits, 128)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| AddressError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| AddressError)?,
            None => most,
        };
        if bits > most { Err(AddressError) } else { Ok(Self { address, bits }) }
    }
}

/// A text that is neither an address nor a range of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an address or a range such as `10.0.0.0/8`")]
pub struct AddressError;

/// The address of the client behind `peer`.
///
/// Reads `Forwarded` or `X-Forwarded-For` from the right, as far as the hops are trusted, and
/// only when the peer itself is. When both headers are there, or a hop cannot be read, the last
/// trusted address is the answer: a client can hide behind its proxy, never pose as another.
pub fn client_address(peer: IpAddr, trusted: &[Network], headers: &HeaderMap) -> IpAddr {
    let trusts = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for hop in hops(headers).iter().rev() {
        if !trusts(client) {
            break;
        }
        let Some(address) = hop else { break };
        client = *address;
    }
    client
}

/// The hops as stated, nearest last; `None` for one that cannot be read.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = |name: &header::HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|v| v.to_str().unwrap_or("?").to_owned()).collect()
    };
    let forwarded = lines(&header::FORWARDED);
    let legacy = lines(&header::HeaderName::from_static("x-forwarded-for"));
    match (forwarded.is_empty(), legacy.is_empty()) {
        (false, true) => forwarded.iter().flat_map(|l| l.split(',')).map(forwarded_for).collect(),
        (true, false) => legacy.iter().flat_map(|l| l.split(',')).map(node).collect(),
        _ => Vec::new(),
    }
}

/// The `for=` of one `Forwarded` element.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut named = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = named.next()?;
    if named.next().is_some() {
        return None;
    }
    node(value.trim_matches('"'))
}

/// An address, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|s| s.ip());
    address.or_else(with_port).map(|a| a.to_canonical())
}

fn same_prefix(a: u128, b: u128, bits: u8, width: u32) -> bool {
    let shift = width.saturating_sub(bits.into());
    // A shift by all 128 bits is `None`: an empty prefix, which every address has.
    match (a.checked_shr(shift), b.checked_shr(shift)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}
