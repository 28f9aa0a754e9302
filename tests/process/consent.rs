//! Consent from end to end: a back end records it, a read follows it, one terminal stops the next
//! row in another, a receipt is checked by whoever has the public key, and an import that was
//! killed is taken up again.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::command_line::post;
use crate::harness::{Gateway, Site, Store, get, privet, send};

/// Rows that the store answers at once, and as many once it is told to go on.
const ROWS: usize = 2_000;

fn customer(id: &str, nickname: &str) -> String {
    json!({ "id": id, "nickname": nickname, "country": "GB" }).to_string()
}

/// Part of a list in which every other row is Ana's: more of hers than one batch takes.
fn rows(word: &str) -> String {
    let row = |n: usize| match n % 2 {
        0 => customer("c-1002", &format!("ana-{word}")),
        _ => customer("c-9", &format!("other-{word}")),
    };
    (0..ROWS).map(row).collect::<Vec<_>>().join(",")
}

/// A store whose list stops in the middle until it is told to go on.
fn halting() -> (SocketAddr, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (go, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    // The threads end with the test process; they hold nothing but sockets.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || tell(stream, &gate));
        }
    });
    (address, go)
}

fn tell(mut stream: TcpStream, gate: &Mutex<Receiver<()>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    if first.split(' ').nth(1)? == "/customers?limit=1" {
        let body = format!("[{}]", customer("c-1002", "ana-alone"));
        return write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok();
    }
    let (early, late) = (format!("[{}", rows("early")), format!(",{}]", rows("late")));
    let length = early.len() + late.len();
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{early}").ok()?;
    gate.lock().ok()?.recv_timeout(Duration::from_secs(60)).ok()?;
    stream.write_all(late.as_bytes()).ok()
}

/// Asks for the whole list, and comes back when Ana was seen in it.
fn list_under_way(gateway: &Gateway, token: &str) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(gateway.gateway).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let call = format!(
        "GET /shop/customers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nPrivet-Purpose: marketing_email\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).unwrap();
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&came).contains("ana-early") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&piece[..read]);
    }
    (stream, came)
}

fn run(site: &Site, code: i32, arguments: &[&str]) -> String {
    let out = privet(&site.dir(), arguments);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {told}");
    String::from_utf8(out.stdout).unwrap()
}

/// A token file of a new operator.
fn operator(site: &Site, gateway: &Gateway, role: &str) -> String {
    let token = run(site, 0, &["operator", "add", role, "--role", role]);
    let path = site.dir().join(role);
    fs::write(&path, &token).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let admin = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    assert_eq!(post(gateway.admin, "/api/v1/reload", admin.trim()), 200);
    token.trim().to_owned()
}

fn yes(id: &str) -> Value {
    json!({ "id": id, "consent": {
        "process": [{ "purpose_key": "marketing" }],
        "events": [{
            "purpose_key": "marketing", "state": "Given", "type": "ExpressedConsent",
            "entity_id": "subject", "method": "form",
        }],
    } })
}

/// Records as a shop's back end does, and gives the record's id.
fn record(gateway: &Gateway, token: &str, body: &Value) -> String {
    let headers = [
        ("Authorization", format!("Bearer {token}")),
        ("Content-Type", "application/json".to_owned()),
        ("Idempotency-Key", format!("\"{}\"", body["id"].as_str().unwrap())),
    ];
    let made = send(gateway.admin, ("POST", "/api/v1/consents"), &headers, &body.to_string());
    let made = made.unwrap();
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    made.json()["record_id"].as_str().unwrap().to_owned()
}

fn mail(site: &Site) -> String {
    site.token(&["--role", "marketing", "--purpose", "marketing_email", "--region", "GB"])
}

#[test]
fn a_withdrawal_typed_in_one_terminal_stops_the_next_row_in_another() {
    let (store, go) = halting();
    let site = Site::new(store);
    let gateway = site.serve();
    site.reach(&gateway);
    let collector = operator(&site, &gateway, "collector");
    let token = mail(&site);
    let alone = || {
        let page = "/shop/customers?limit=1";
        let answer = get(gateway.gateway, page, &token, "marketing_email");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    };
    assert_eq!(alone(), json!([]), "nobody has asked her yet");
    let id = record(&gateway, &collector, &yes("c-1002"));
    assert_eq!(alone()[0]["nickname"], "ana-alone");

    let (mut stream, mut came) = list_under_way(&gateway, &token);
    let out = run(&site, 0, &["consent", "withdraw", "c-1002", "marketing", "--method", "phone"]);
    assert!(out.contains(&id), "{out}");
    // The next read, and the next row of the list under way.
    assert_eq!(alone(), json!([]));
    go.send(()).unwrap();
    stream.read_to_end(&mut came).unwrap();
    let text = String::from_utf8_lossy(&came).into_owned();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("0\r\n\r\n"), "it is whole");
    assert!(!text.contains("ana-late"), "a row after the withdrawal holds her");

    // What stood when, for whoever asks later.
    let shown = run(&site, 0, &["consent", "show", "c-1002", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["standing"][0]["state"], "Withdrawn");
    let given = shown["records"][0]["events"][0]["time"].as_str().unwrap();
    let then = run(&site, 0, &["consent", "show", "c-1002", "--at", given, "--output", "csv"]);
    assert!(then.contains("marketing,Given,"), "{then}");
    let page = run(&site, 0, &["consent", "show", "c-1002"]);
    assert!(page.contains("What stands now") && page.contains("phone"), "{page}");
    let again = run(&site, 1, &["consent", "withdraw", "c-1002", "marketing"]);
    assert_eq!(again, "");
}

#[test]
fn a_receipt_is_checked_by_whoever_has_the_public_key() {
    let site = Site::new(Store::start(|_| None).address());
    let dir = site.dir();
    let gateway = site.serve();
    site.reach(&gateway);
    fs::write(dir.join("notice.txt"), "We write to you once a month.\n").unwrap();
    let notice = ["consent", "notice", "add", "shop", "3", "notice.txt", "--language", "en"];
    run(&site, 0, &notice);
    let made = run(
        &site,
        0,
        &[
            "consent",
            "record",
            "c-1",
            "marketing",
            "--notice",
            "shop/3",
            "--text",
            "notice.txt",
            "--language",
            "en",
            "--channel",
            "web",
            "--regime",
            "gdpr",
        ],
    );
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["record_id"].as_str().unwrap();
    let receipt = run(&site, 0, &["consent", "receipt", id]);
    fs::write(dir.join("receipt.jws"), &receipt).unwrap();
    fs::write(dir.join("keys.jwks"), run(&site, 0, &["consent", "keys"])).unwrap();
    assert!(run(&site, 0, &["consent", "notice", "list"]).contains("shop  3"));
    let refused = privet(&dir, &["consent", "kantara", id]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("lacks what KI-CR v1.1.0 requires: "), "{why}");
    gateway.kill9();

    // From here on nobody is asked: there is the file, and the key.
    let verify =
        |file: &str, code| run(&site, code, &["consent", "verify", file, "--keys", "keys.jwks"]);
    let said = verify("receipt.jws", 0);
    assert!(said.starts_with("ok: ") && said.contains(id), "{said}");
    assert!(said.contains("marketing – Given"), "{said}");
    // Every tenth byte, so that the test ends; each of them is tried where nothing is started.
    for place in (0..receipt.len() - 1).step_by(receipt.len() / 10) {
        let mut changed = receipt.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        fs::write(dir.join("changed.jws"), changed).unwrap();
        verify("changed.jws", 5);
    }
    // Keys that are not the gateway's.
    let other = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "kid": "x",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }] });
    fs::write(dir.join("keys.jwks"), other.to_string()).unwrap();
    let out = privet(&dir, &["consent", "verify", "receipt.jws", "--keys", "keys.jwks"]);
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(5), "{why}");
    assert!(why.contains("the key that it names is not in the key set"), "{why}");

    // The same key after a restart.
    let _gateway = site.serve();
    assert_eq!(run(&site, 0, &["consent", "receipt", id]), receipt);
}

/// Lines that another system might hand over, each to be known by its method.
fn lines(from: usize, to: usize) -> String {
    let line = |n: usize| {
        let mut line = yes(&format!("c-{}", n / 2));
        line["consent"]["events"][0]["method"] = format!("line-{n}").into();
        format!("{line}\n")
    };
    (from..to).map(line).collect()
}

fn exported(site: &Site) -> Vec<Value> {
    let text = run(site, 0, &["consent", "export"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_import_that_was_killed_is_taken_up_again_and_everything_comes_out() {
    const ALL: usize = 5_000;
    let site = Site::new(Store::start(|_| None).address());
    let gateway = site.serve();
    site.reach(&gateway);
    // Half of it, and then nothing: the gateway dies in the middle, however fast it is.
    let mut child = Command::new(env!("CARGO_BIN_EXE_privet"))
        .args(["consent", "import", "-"])
        .current_dir(site.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let writing = std::thread::spawn(move || {
        // Nobody may be reading any more.
        drop(input.write_all(lines(0, ALL / 2).as_bytes()));
        input
    });
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("running"), "{line}");
    gateway.kill9();
    let mut input = writing.join().unwrap();
    drop(input.write_all(lines(ALL / 2, ALL).as_bytes()));
    drop(input);
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("import the file again"), "{rest}");

    let _gateway = site.serve();
    let before = exported(&site).len();
    assert!((250..ALL).contains(&before), "{before}");
    fs::write(site.dir().join("consents.jsonl"), lines(0, ALL)).unwrap();
    let done = run(&site, 0, &["consent", "import", "consents.jsonl"]);
    let counted = format!("{} recorded, {before} known already, 0 refused\n", ALL - before);
    assert_eq!(done, counted);
    let found = exported(&site);
    let methods: BTreeSet<&str> =
        found.iter().map(|record| record["events"][0]["method"].as_str().unwrap()).collect();
    let wanted: Vec<String> = (0..ALL).map(|n| format!("line-{n}")).collect();
    assert_eq!(found.len(), ALL);
    assert_eq!(methods, wanted.iter().map(String::as_str).collect());
    // No id of a store comes out, and the two records of a person are told to be of one.
    let people: BTreeSet<&str> =
        found.iter().map(|record| record["subject_ref"].as_str().unwrap()).collect();
    assert_eq!(people.len(), ALL / 2);

    // CSV in and out; a line that is wrong is told by its number and keeps no other back.
    let table = "id,consent,state,type,method\nc-1,marketing,Given,ExpressedConsent,=1+1\n\
                 c-2,marketin,Given,ExpressedConsent,x\nc-3,marketing,Refused,,\n";
    fs::write(site.dir().join("more.csv"), table).unwrap();
    let out = privet(&site.dir(), &["consent", "import", "more.csv"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "2 recorded, 0 known already, 1 refused\n");
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("line 3: ") && told.contains("did you mean `marketing`"), "{told}");
    let sheet = run(&site, 0, &["consent", "export", "--output", "csv"]);
    assert_eq!(sheet.lines().count(), ALL + 3);
    assert!(sheet.contains(",'=1+1,"), "no cell is a formula");
}
