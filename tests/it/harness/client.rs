//! A client that sends bytes and reads bytes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// No answer of a test takes longer; one that does hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// What the gateway answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status; 0 when there was no answer.
    pub(crate) status: u16,
    /// The head, byte for byte.
    pub(crate) head: String,
    /// The body, without chunks.
    pub(crate) body: Vec<u8>,
    /// Whether the body ended where it should.
    pub(crate) is_whole: bool,
    /// Every byte.
    pub(crate) raw: Vec<u8>,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The names of all headers, in order.
    pub(crate) fn header_names(&self) -> Vec<String> {
        let names = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut names: Vec<String> = names.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Head and body as they came.
    pub(crate) fn raw_text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Reads the first answer in `raw`.
    pub(crate) fn parse(raw: Vec<u8>, of_head: bool) -> Self {
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let Some(end) = end else {
            return Self { status: 0, head: String::new(), body: Vec::new(), is_whole: false, raw };
        };
        let head = String::from_utf8_lossy(&raw[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut reply = Self { status, head, body: Vec::new(), is_whole: false, raw };
        let rest = reply.raw[end..].to_vec();
        if of_head || matches!(status, 204 | 304) {
            reply.is_whole = rest.is_empty();
        } else if reply.header("transfer-encoding").is_some() {
            (reply.body, reply.is_whole) = dechunk(&rest);
        } else if let Some(length) = reply.header("content-length") {
            let length: usize = length.parse().unwrap();
            reply.is_whole = rest.len() >= length;
            reply.body = rest[..length.min(rest.len())].to_vec();
        } else {
            reply.body = rest;
        }
        reply
    }
}

/// Sends `request` and reads until the gateway closes.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let work = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The gateway may close before it has read everything.
        drop(stream.write_all(request).await);
        let mut answer = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            answer.extend_from_slice(&piece[..count]);
        }
        answer
    };
    tokio::time::timeout(LIMIT, work).await.expect("the gateway answers and closes in time")
}

/// A GET with a token and more header lines, each with its line end.
pub(crate) async fn get(address: SocketAddr, target: &str, token: &str, more: &str) -> Reply {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n{more}\r\n"
    );
    Reply::parse(exchange(address, request.as_bytes()).await, false)
}

/// The content of chunks, and whether the last one was there.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..at]).ok();
        let size = size.and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        match size {
            Some(0) => return (body, true),
            Some(size) if rest.len() >= at + 2 + size + 2 => {
                body.extend_from_slice(&rest[at + 2..at + 2 + size]);
                rest = &rest[at + 2 + size + 2..];
            }
            _ => {
                body.extend_from_slice(rest.get(at + 2..).unwrap_or_default());
                return (body, false);
            }
        }
    }
    (body, false)
}
