//! Tables of attacks and of well-formed messages, and properties over generated ones.

mod answers;
mod coding;
mod heads;
mod targets;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use super::*;
use crate::types::Timestamp;

pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

pub(super) fn host(text: &str) -> Authority {
    Authority::parse(text).unwrap()
}

pub(super) fn ids() -> (RequestId, TraceParent) {
    let id = RequestId::new(Timestamp::from_unix_ms(1_795_251_661_007), &[7; 10]);
    (id, TraceParent::root([3; 16], [4; 8]))
}
