//! A store that keeps records, with strong ETags, and remembers what it was asked to write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::value::RawValue;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// What the store makes of a PATCH. Stores differ, so what Privet sends must suit both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patching {
    /// Members are assigned as they are sent, `null` too.
    Assigns,
    /// RFC 7396: objects are merged, `null` removes.
    Merges,
}

#[derive(Debug)]
struct Inside {
    patching: Patching,
    /// By id: the record byte for byte, and how often it changed.
    records: BTreeMap<String, (String, u64)>,
    /// The methods of the requests that write.
    written: Vec<String>,
}

/// A running store of `/customers/{id}`.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

impl Shelf {
    pub(crate) async fn start(patching: Patching) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Inside { patching, records: BTreeMap::new(), written: Vec::new() };
        let inside = Arc::new(Mutex::new(inside));
        let shared = Arc::clone(&inside);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, inside }
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a record there, as somebody does who does not ask Privet.
    pub(crate) fn put(&self, id: &str, record: &str) {
        let mut inside = self.inside.lock().unwrap();
        let version = inside.records.get(id).map_or(0, |(_, version)| version + 1);
        inside.records.insert(id.to_owned(), (record.to_owned(), version));
        inside.written.clear();
    }

    /// The record as it is, byte for byte.
    pub(crate) fn record(&self, id: &str) -> Option<String> {
        self.inside.lock().unwrap().records.get(id).map(|(record, _)| record.clone())
    }

    /// The methods by which it was asked to write since a record was last put there.
    pub(crate) fn written(&self) -> Vec<String> {
        self.inside.lock().unwrap().written.clone()
    }
}

async fn serve(mut stream: TcpStream, inside: Arc<Mutex<Inside>>) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        while buffer.len() < end + length {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        let body = String::from_utf8_lossy(&buffer[end..end + length]).into_owned();
        buffer.drain(..end + length);
        let answer = answer(&mut inside.lock().unwrap(), &head, &body);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(inside: &mut Inside, head: &str, body: &str) -> String {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let id = target.trim_start_matches("/customers").trim_start_matches('/').to_owned();
    if method == "POST" {
        let id = format!("n-{}", inside.records.len());
        let record = body.replacen('{', &format!("{{\"id\":\"{id}\","), 1).replace(",}", "}");
        inside.written.push(method.to_owned());
        inside.records.insert(id, (record.clone(), 0));
        return reply("201 Created", Some(0), &record);
    }
    let Some((record, version)) = inside.records.get(&id).cloned() else {
        return reply("404 Not Found", None, "{}");
    };
    if method == "GET" || method == "HEAD" {
        return reply("200 OK", Some(version), &record);
    }
    inside.written.push(method.to_owned());
    match header(head, "if-match") {
        None => return reply("428 Precondition Required", None, "{}"),
        Some(tag) if tag != format!("\"v{version}\"") => {
            return reply("412 Precondition Failed", None, "{}");
        }
        Some(_) => {}
    }
    let after = match method {
        "PUT" => body.to_owned(),
        "PATCH" => patched(inside.patching, &record, body),
        _ => {
            inside.records.remove(&id);
            return "HTTP/1.1 204 No Content\r\n\r\n".to_owned();
        }
    };
    inside.records.insert(id, (after.clone(), version + 1));
    reply("200 OK", Some(version + 1), &after)
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn patched(patching: Patching, record: &str, patch: &str) -> String {
    let mut members: Members<'_> = serde_json::from_str(record).unwrap();
    let changes: Members<'_> = serde_json::from_str(patch).unwrap();
    let mut inner = Vec::new();
    for (name, value) in &changes {
        let is_object = |raw: &RawValue| raw.get().starts_with('{');
        let old = members.get(name).copied();
        match old.filter(|old| is_object(old) && is_object(value)) {
            Some(old) if patching == Patching::Merges => {
                inner.push((name.clone(), patched(patching, old.get(), value.get())));
            }
            _ if patching == Patching::Merges && value.get() == "null" => {
                members.remove(name);
            }
            _ => {
                members.insert(name.clone(), value);
            }
        }
    }
    let inner: Vec<(String, Box<RawValue>)> = inner
        .into_iter()
        .map(|(name, text)| (name, RawValue::from_string(text).unwrap()))
        .collect();
    for (name, value) in &inner {
        members.insert(name.clone(), value);
    }
    serde_json::to_string(&members).unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn reply(status: &str, version: Option<u64>, body: &str) -> String {
    let etag = version.map(|version| format!("ETag: \"v{version}\"\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{etag}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
