//! A client that keeps what it got, even of an answer that was cut off.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether its end was seen.
    pub(crate) complete: bool,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The id under which the log has the call.
    pub(crate) fn decision(&self) -> Option<&str> {
        self.header("privet-decision")?.split("id=\"").nth(1)?.split('"').next()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| {
            panic!("not JSON ({e}): {} {}", self.head, String::from_utf8_lossy(&self.body))
        })
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(to: SocketAddr, path: &str, token: &str, purpose: &str) -> Answer {
    let headers =
        [("Authorization", format!("Bearer {token}")), ("Privet-Purpose", purpose.to_owned())];
    get_with(to, path, &headers).expect("the gateway answers")
}

/// One GET with these headers; `None` when not even a whole head came.
pub(crate) fn get_with(to: SocketAddr, path: &str, headers: &[(&str, String)]) -> Option<Answer> {
    send(to, ("GET", path), headers, "")
}

/// One request with these headers and this body; `None` when not even a whole head came.
pub(crate) fn send(
    to: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, String)],
    body: &str,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str(&format!("\r\n{body}"));
    stream.write_all(request.as_bytes()).ok()?;
    parse(&read_all(&mut stream))
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // A killed gateway resets the connection; what came before counts.
            Err(_) => return bytes,
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let mut answer = Answer { status, head, body: Vec::new(), complete: false };
    if answer.header("transfer-encoding").is_some() {
        (answer.body, answer.complete) = unchunk(rest);
    } else if status == 204 {
        answer.complete = true;
    } else {
        let length: usize = answer.header("content-length").and_then(|l| l.parse().ok())?;
        answer.complete = rest.len() >= length;
        answer.body = rest[..rest.len().min(length)].to_vec();
    }
    Some(answer)
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else { return (body, false) };
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let Some(size) = size else { return (body, false) };
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        if rest.len() < size + 2 {
            return (body, false);
        }
        rest = &rest[size + 2..];
    }
}
