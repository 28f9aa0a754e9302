//! Ways past a masking gateway, one case a line: what the store answers, what the client sends,
//! and what must hold. Runs when the corpus lies beside the repository.

use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use privet::proxy::Place;

use crate::harness::Asked;
use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::decompressed;
use crate::harness::exchange;
use crate::harness::gzip;

/// Clear: `id`, `city`, `count`; everything else masked or dropped; everything else closed.
const POLICY: &str = r#"
privet: policy/v1
name: corpus
purposes:
  care: { basis: contract }
roles:
  clerk: { claim: roles, has: clerk }
views:
  hint: { mask: { keep_first: 1 } }
data:
  store.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers", records: "$[*]", query: [limit] }
      - { on: "POST /customers", records: "$" }
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "POST /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
      city: { category: user.contact.address.city }
      count: { category: system.operations, level: general }
      email: { category: user.contact.email }
  store.graph:
    subject: none
    routes:
      - { on: "POST /graphql", records: "$" }
    fields:
      id: { category: system.operations, level: general }
grants:
  - id: clerks
    roles: [clerk]
    purposes: [care]
    data: [store.customers, store.graph]
    can: [read]
    fields: { id: show, city: show, count: show, email: hint }
"#;

/// Well-formed answers: their clear field must arrive, for refusing everything is no solution.
const USEFUL: &[&str] = &[
    "control-01",
    "jsonkey-01",
    "jsonkey-07",
    "jsonkey-10",
    "jsonkey-13",
    "coding-01",
    "framing-01",
    "framing-07",
    "cache-01",
];

#[tokio::test]
async fn no_case_of_the_corpus_gets_past() {
    let text = std::fs::read_to_string(corpus()).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let canary = lines.next().unwrap()["canary"].as_str().unwrap().to_owned();
    let mut faults = Vec::new();
    let mut count = 0;
    for case in lines {
        count += 1;
        if let Err(fault) = run(&case, &canary).await {
            let why = case["why"].as_str().unwrap_or_default();
            faults.push(format!("{} ({why}): {fault}", case["id"].as_str().unwrap_or_default()));
        }
    }
    println!("{count} cases, {} faults", faults.len());
    assert!(count >= 75 && faults.is_empty(), "{}", faults.join("\n"));
}

/// The cases: a larger set where one lies beside the repository, else those kept here.
fn corpus() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared", "../../shared"];
    let file = |place: &str| home.join(place).join("corpus/http/cases.jsonl");
    let beside = places.into_iter().map(file).find(|path| path.exists());
    beside.unwrap_or_else(|| home.join("tests/it/corpus_http/cases.jsonl"))
}

async fn run(case: &Value, canary: &str) -> Result<(), String> {
    let upstream = case["upstream"].clone();
    let prepared = prepare(&upstream);
    let store = FakeStore::start(move |asked| answer(&upstream, prepared.as_deref(), asked)).await;
    let setup = Setup {
        place: Place::Prefix("/".into()),
        store: ("store", store.address()),
        ..Setup::new(POLICY, &store)
    };
    let gateway = Gateway::start(setup);
    let clerk = gateway.token(&["clerk"], &["care"]);
    for request in requests(&case["request"], &clerk) {
        let raw = exchange(gateway.address, &request).await;
        let reply = Reply::parse(raw, case["request"]["method"] == "HEAD");
        judge(case, &reply, canary)?;
    }
    if case["expect"]["replay_as"].is_string() {
        let other = gateway.token(&["nobody"], &["care"]);
        for request in requests(&case["request"], &other) {
            let reply = Reply::parse(exchange(gateway.address, &request).await, false);
            if reply.status == 200 || shows(&reply, canary) {
                return Err("the next caller got the answer".to_owned());
            }
        }
    }
    let reached_admin = store.asked().iter().any(|asked| asked.target().contains("admin"));
    if case["expect"]["no_admin_upstream"] == true && reached_admin {
        return Err("the store was asked for what was smuggled".to_owned());
    }
    if case["expect"]["upstream_not_reached"] == true && !store.asked().is_empty() {
        return Err("the store was asked".to_owned());
    }
    Ok(())
}

fn judge(case: &Value, reply: &Reply, canary: &str) -> Result<(), String> {
    let expect = &case["expect"];
    if expect["no_canary"] == true && shows(reply, canary) {
        return Err(format!("the canary got out: {}", String::from_utf8_lossy(&reply.raw)));
    }
    if let Some(fine) = expect["status"].as_array()
        && !fine.iter().any(|status| *status == u64::from(reply.status))
    {
        return Err(format!("status {}", reply.status));
    }
    let id = case["id"].as_str().unwrap_or_default();
    let wanted = expect["must_contain"].as_str().or(USEFUL.contains(&id).then_some("CLEARCITY"));
    match wanted {
        Some(text) if !reply.text().contains(text) => {
            Err(format!("{text} did not arrive: {} {}", reply.status, reply.text()))
        }
        _ => Ok(()),
    }
}

/// The bytes to send. What is raw in the case is sent as it is and again with a credential in
/// every request that stands in it, so that the smuggled one would be believed.
fn requests(request: &Value, token: &str) -> Vec<Vec<u8>> {
    let credential = format!("Authorization: Bearer {token}\r\n");
    if let Some(raw) = request["raw_b64"].as_str() {
        let raw = STANDARD.decode(raw).unwrap();
        let close = b"Host: a\r\nConnection: close\r\n";
        let plain = replace(&raw, b"Host: a\r\n", close);
        let believed = [&close[..], credential.as_bytes()].concat();
        let first = replace_first(&raw, b"Host: a\r\n", &believed);
        let all = replace(&raw, b"Host: a\r\n", &believed);
        return vec![plain, first, all];
    }
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: a\r\n{credential}",
        request["method"].as_str().unwrap(),
        request["target"].as_str().unwrap()
    );
    let mut closes = false;
    for header in request["headers"].as_array().into_iter().flatten() {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        closes |= name.eq_ignore_ascii_case("connection");
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !closes {
        head.push_str("Connection: close\r\n");
    }
    let body = request["body"].as_str().unwrap_or_default();
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    vec![format!("{head}\r\n{body}").into_bytes()]
}

/// The body of the store's answer that takes time to make.
fn prepare(upstream: &Value) -> Option<Vec<u8>> {
    let wish = upstream.get("body_gen")?;
    let count = usize::try_from(wish["n"].as_u64().unwrap()).unwrap();
    let secret = wish["secret"].as_str().unwrap();
    if wish["kind"] == "deep" {
        let body = format!("{}{{{secret}}}{}", "{\"a\":".repeat(count), "}".repeat(count));
        return Some(body.into_bytes());
    }
    let mut text = vec![b'0'; count];
    text.extend_from_slice(secret.as_bytes());
    Some(gzip(&text))
}

fn answer(upstream: &Value, prepared: Option<&[u8]>, asked: &Asked) -> Vec<Step> {
    if let Some(raw) = upstream["raw_b64"].as_str() {
        return vec![Step::Bytes(STANDARD.decode(raw).unwrap()), Step::Close];
    }
    let body = body(upstream, prepared, asked);
    let mut head = format!("HTTP/1.1 {} OK\r\n", upstream["status"]);
    for header in upstream["headers"].as_array().into_iter().flatten() {
        head.push_str(&format!(
            "{}: {}\r\n",
            header[0].as_str().unwrap(),
            header[1].as_str().unwrap()
        ));
    }
    let Some(size) = upstream["chunked"].as_u64() else {
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        return vec![Step::Bytes([head.as_bytes(), &body].concat()), Step::Close];
    };
    head.push_str("Transfer-Encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    for chunk in body.chunks(usize::try_from(size).unwrap().max(1)) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n");
    for trailer in upstream["trailers"].as_array().into_iter().flatten() {
        let (name, value) = (trailer[0].as_str().unwrap(), trailer[1].as_str().unwrap());
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    vec![Step::Bytes(bytes), Step::Close]
}

fn body(upstream: &Value, prepared: Option<&[u8]>, asked: &Asked) -> Vec<u8> {
    if let Some(prepared) = prepared {
        return prepared.to_vec();
    }
    if let Some(coded) = upstream["body_b64"].as_str() {
        return STANDARD.decode(coded).unwrap();
    }
    if let Some(wish) = upstream.get("body_if_header") {
        let given = asked.header(wish["name"].as_str().unwrap());
        let key = if given == wish["value"].as_str() { "body" } else { "else" };
        return wish[key].as_str().unwrap().into();
    }
    if let Some(routes) = upstream.get("route").and_then(Value::as_object) {
        let known = routes.iter().find(|(path, _)| asked.target().starts_with(path.as_str()));
        return known.map_or(&routes["*"], |(_, body)| body).as_str().unwrap().into();
    }
    upstream["body"].as_str().unwrap_or_default().into()
}

/// Whether the canary is in an answer, in any coding.
fn shows(reply: &Reply, canary: &str) -> bool {
    let mut texts = vec![reply.raw.clone(), reply.body.clone()];
    texts.extend(decompressed(&reply.body));
    texts.iter().any(|text| needles(canary).iter().any(|needle| holds(text, needle)))
}

/// The canary as it might be written. Its first part alone is the secret already.
fn needles(canary: &str) -> Vec<Vec<u8>> {
    let secret = canary.split('@').next().unwrap();
    let mut all = vec![secret.as_bytes().to_vec()];
    for pad in ["", "x", "xx"] {
        // The letters that do not depend on what stands around.
        let coded = STANDARD.encode(format!("{pad}{secret}"));
        all.push(coded.as_bytes()[4..coded.len() - 4].to_vec());
    }
    let each = |f: &dyn Fn(char) -> String| secret.chars().map(f).collect::<String>().into_bytes();
    all.push(each(&|c| format!("%{:02x}", u32::from(c))));
    all.push(each(&|c| format!("&#{};", u32::from(c))));
    all.push(each(&|c| format!("&#x{:x};", u32::from(c))));
    all.push(each(&|c| format!("\\u{:04x}", u32::from(c))));
    all.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    all.push(secret.encode_utf16().flat_map(u16::to_be_bytes).collect());
    all.push(secret.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect());
    all.push(secret.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect());
    all.push(secret.bytes().rev().collect());
    all
}

fn holds(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

fn replace(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, what) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    result.extend_from_slice(rest);
    result
}

fn replace_first(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let at = memchr::memmem::find(text, what).unwrap();
    [&text[..at], with, &text[at + what.len()..]].concat()
}
