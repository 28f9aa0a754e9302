//! What keys a real gateway has, as operators are told, and keys that are replaced under load or
//! cut off by a kill.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Scope;

use privet::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, Site, Store, get, send};
use crate::jobs::{add, json as output, run};

/// People whose records are plain; each gets a key by being seen.
const CROWD: usize = 4_000;

/// A store that keeps what it is sent, and lists a crowd.
fn store() -> Store {
    let records = Mutex::new(BTreeMap::<String, Value>::new());
    Store::conversing(move |method, target, body| {
        let mut records = records.lock().unwrap();
        let path = target.split('?').next().unwrap();
        let sent = serde_json::from_slice::<Value>(body);
        match (method, path.strip_prefix("/customers/")) {
            ("GET", None) => {
                let crowd = (0..CROWD).map(|n| json!({ "id": format!("w-{n}"), "country": "GB" }));
                Some(crowd.collect::<Value>().to_string())
            }
            ("GET", Some(id)) => {
                let new = json!({ "id": id, "country": "GB" });
                Some(records.get(id).unwrap_or(&new).to_string())
            }
            ("POST", _) => {
                let id = format!("n-{}", records.len());
                let mut sent = sent.unwrap();
                sent["id"] = id.as_str().into();
                Some(records.entry(id).or_insert(sent).to_string())
            }
            (_, id) => {
                let id = id.unwrap();
                let mut sent = sent.unwrap();
                sent["id"] = id.into();
                records.insert(id.to_owned(), sent.clone());
                Some(sent.to_string())
            }
        }
    })
}

/// A back end of the shop, which may see addresses in clear.
#[derive(Clone)]
struct App {
    to: SocketAddr,
    token: String,
}

impl App {
    fn of(site: &Site, gateway: &Gateway) -> Self {
        let token = ["--role", "shop-app", "--purpose", "operations", "--region", "GB"];
        Self { to: gateway.gateway, token: site.token(&token) }
    }

    fn write(&self, method: &str, path: &str, email: &str) -> Answer {
        let headers = [
            ("Authorization", format!("Bearer {}", self.token)),
            ("Privet-Purpose", "operations".to_owned()),
            ("Content-Type", "application/json".to_owned()),
        ];
        let body = json!({ "name": "Zoë", "country": "GB", "email": email }).to_string();
        send(self.to, (method, path), &headers, &body).expect("the gateway answers")
    }

    fn put(&self, id: &str, email: &str) {
        let answer = self.write("PUT", &format!("/shop/customers/{id}"), email);
        assert_eq!(answer.status, 200, "{} {}", answer.head, String::from_utf8_lossy(&answer.body));
    }

    fn email(&self, id: &str) -> String {
        let path = format!("/shop/customers/{id}");
        let answer = get(self.to, &path, &self.token, "operations");
        assert_eq!(answer.status, 200, "{} {}", answer.head, String::from_utf8_lossy(&answer.body));
        answer.json()["email"].as_str().unwrap().to_owned()
    }
}

fn approve(site: &Site, asked: &Value) -> String {
    assert_eq!(asked["state"], "waiting_approval");
    let id = asked["id"].as_str().unwrap().to_owned();
    output(&site.dir(), &["job", "approve", &id, "--token-file", "ben.token"]);
    id
}

fn keys(site: &Site, name: &str) -> PathBuf {
    site.dir().join("data/keys").join(name)
}

#[test]
fn what_keys_there_are_is_told_by_the_gateway_and_from_its_folder_to_whoever_may_ask() {
    let store = store();
    let site = Site::new(store.address());
    let early = output(&site.dir(), &["key", "status", "--offline"]);
    assert_eq!(
        (&early["epoch"]["number"], &early["subject_keys"]["people"]),
        (&1.into(), &0.into())
    );
    let gateway = site.serve();
    site.reach(&gateway);
    let app = App::of(&site, &gateway);
    app.put("c-zq9status1d", "zq9status@mail.example");
    app.put("c-zq9status2d", "zq9status@mail.example");
    let (status, said) = run(&site.dir(), &["subject", "erase-key", "c-zq9status2d"]);
    assert_eq!(status, Some(0), "{said}");

    let told = output(&site.dir(), &["key", "status"]);
    assert_eq!(told["root"], json!({ "provider": "file", "answers": true, "keys_locked": false }));
    assert_eq!(told["subject_keys"]["people"], 1);
    assert_eq!((&told["subject_keys"]["destroyed"], &told["jobs"]), (&1.into(), &json!([])));
    assert_eq!(told["shred"]["within_s"], 86_400);
    assert!(told["shred"]["left_s"].as_u64().unwrap() > 86_000, "{told:#}");
    let asked = output(&site.dir(), &["key", "rotate", "epoch"]);
    let (status, table) = run(&site.dir(), &["key", "status"]);
    assert_eq!(status, Some(0), "{table}");
    let job = format!("rotate_epoch {} waiting_approval", asked["id"].as_str().unwrap());
    for line in ["root key      file, answers\n", "people        1 have a key\n", job.as_str()] {
        assert!(table.contains(line), "{line}: {table}");
    }
    assert!(!format!("{told}{table}").contains("zq9status"), "{told:#}\n{table}");

    // Auditors look; whoever has no token does not, and nobody looks behind a gateway's back.
    let arguments = ["operator", "add", "axel", "--role", "auditor"];
    let out = crate::harness::privet(&site.dir(), &arguments);
    let token = String::from_utf8(out.stdout).unwrap();
    let operator = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    let reloaded = crate::command_line::post(gateway.admin, "/api/v1/reload", operator.trim());
    assert_eq!(reloaded, 200);
    let ask = |token: &str| get(gateway.admin, "/api/v1/keys", token, "").status;
    assert_eq!((ask(token.trim()), ask(""), ask("guess")), (200, 401, 401));
    let (status, said) = run(&site.dir(), &["key", "status", "--offline"]);
    assert_eq!((status, said.contains("without --offline")), (Some(1), true), "{said}");

    drop(gateway);
    let (status, said) = run(&site.dir(), &["key", "status"]);
    assert_eq!((status, said.contains("cannot reach the gateway")), (Some(1), true), "{said}");
    let read = output(&site.dir(), &["key", "status", "--offline"]);
    for part in ["root", "ledger", "subject_keys"] {
        assert_eq!(read[part], told[part], "{part}");
    }
    let passphrase = site.dir().join("data/root.passphrase");
    fs::write(passphrase, "not the passphrase at all\n").unwrap();
    let (status, said) = run(&site.dir(), &["key", "status", "--offline"]);
    assert_eq!((status, said.contains("does not open every key")), (Some(1), true), "{said}");
}

/// Work that goes on until it is told to stop; each turn is counted.
struct Load<'a> {
    stop: &'a AtomicBool,
    turns: &'a AtomicU64,
}

impl Load<'_> {
    fn go_on(&self, mut turn: impl FnMut(u64)) {
        for number in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            turn(number);
            self.turns.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Ends the load also when the test fails, whose threads are waited for.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Reads, writes and creates from four threads.
fn begin<'a>(
    threads: &'a Scope<'a, '_>,
    app: &App,
    (stop, turns): (&'a AtomicBool, &'a [AtomicU64; 3]),
) {
    let load = |kind: usize| Load { stop, turns: &turns[kind] };
    for writer in 0..2 {
        // Each has two people of its own, so that it knows what they were last told.
        let (app, load) = (app.clone(), load(0));
        threads.spawn(move || {
            load.go_on(|turn| {
                let id = format!("c-{}", writer * 2 + turn % 2);
                let email = format!("w{writer}.{turn}@mail.example");
                app.put(&id, &email);
                assert_eq!(app.email(&id), email, "{id}");
            });
        });
    }
    // Somebody whom nobody writes any more: sealed by the first key of all.
    let (reader, reading) = (app.clone(), load(1));
    reader.put("c-kept", "kept@mail.example");
    threads.spawn(move || {
        reading.go_on(|_| assert_eq!(reader.email("c-kept"), "kept@mail.example"));
    });
    // New people, whose keys wait for an id when their records are sent.
    let (creator, creating) = (app.clone(), load(2));
    threads.spawn(move || {
        creating.go_on(|turn| {
            let email = format!("new.{turn}@mail.example");
            let made = creator.write("POST", "/shop/customers", &email);
            assert_eq!(made.status, 200, "{}", String::from_utf8_lossy(&made.body));
            let id = made.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(creator.email(&id), email, "{id}");
        });
    });
}

#[test]
fn keys_are_replaced_under_load_and_no_call_fails() {
    let store = store();
    let site = Site::new(store.address());
    let gateway = site.serve();
    site.reach(&gateway);
    add(&site, &gateway, "ben", "ben.token");
    let app = App::of(&site, &gateway);
    for person in 0..4 {
        app.put(&format!("c-{person}"), "before@mail.example");
    }
    let stop = AtomicBool::new(false);
    let turns: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    std::thread::scope(|threads| {
        let _stop = Stop(&stop);
        begin(threads, &app, (&stop, &turns));
        let under_load = |what: &str, work: &dyn Fn()| {
            let before: Vec<u64> = turns.iter().map(|kind| kind.load(Ordering::SeqCst)).collect();
            work();
            for (kind, before) in turns.iter().zip(before) {
                wait(what, || kind.load(Ordering::SeqCst) > before);
            }
        };
        for number in 2..5 {
            under_load("an epoch", &|| {
                let id = approve(&site, &output(&site.dir(), &["key", "rotate", "epoch"]));
                let (status, said) = run(&site.dir(), &["job", "watch", &id]);
                assert_eq!(status, Some(0), "{said}");
                let gone = format!("epoch-{}", number - 1);
                assert!(
                    !keys(&site, &gone).exists()
                        && keys(&site, &format!("epoch-{number}")).exists()
                );
            });
            for id in ["c-0", "c-3", "c-kept"] {
                under_load("a person's key", &|| {
                    let (status, said) =
                        run(&site.dir(), &["key", "rotate", "subject", id, "--wait"]);
                    assert_eq!(status, Some(0), "{said}");
                });
            }
        }
    });
    let told = output(&site.dir(), &["key", "status"]);
    assert_eq!(
        (&told["epoch"]["number"], &told["subject_keys"]["only_open"]),
        (&4.into(), &9.into())
    );
    assert_eq!(
        (&told["subject_keys"]["damaged"], &told["subject_keys"]["pending"]),
        (&0.into(), &0.into())
    );
    gateway.kill9();
    let gateway = site.serve();
    let app = App { to: gateway.gateway, ..app };
    assert_eq!(app.email("c-kept"), "kept@mail.example");
}

/// Waits until something is so, and fails when it never is.
pub(crate) fn wait(what: &str, until: impl Fn() -> bool) {
    let deadline_ms = SystemClock.uptime_ms() + 60_000;
    while !until() {
        assert!(SystemClock.uptime_ms() < deadline_ms, "it never came to {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_roll_killed_half_way_is_begun_again_and_loses_nobody() {
    let store = store();
    let site = Site::new(store.address());
    let gateway = site.serve();
    site.reach(&gateway);
    add(&site, &gateway, "ben", "ben.token");
    let app = App::of(&site, &gateway);
    let people: Vec<String> = (0..20).map(|n| format!("c-{n}")).collect();
    for id in &people {
        app.put(id, &format!("{id}@mail.example"));
    }
    let crowd = get(app.to, "/shop/customers", &app.token, "operations");
    assert_eq!(crowd.status, 200, "{}", crowd.head);
    assert_eq!(crowd.json().as_array().unwrap().len(), CROWD);
    let old_slot = fs::read(keys(&site, "slots/epoch-1.key")).unwrap();

    let operator = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    let copied = |gateway: &Gateway| {
        let told = get(gateway.admin, "/api/v1/keys", operator.trim(), "");
        told.json()["roll"]["copied"].as_u64()
    };
    let id = approve(&site, &output(&site.dir(), &["key", "rotate", "epoch"]));
    let mut gateway = gateway;
    // As soon as there is a new epoch, and again in the midst of the copies.
    for at_least in [None, Some(512)] {
        match at_least {
            None => wait("a new epoch", || keys(&site, "epoch-2").exists()),
            Some(rows) => wait("copies", || copied(&gateway) >= Some(rows)),
        }
        gateway.kill9();
        let current = fs::read_to_string(keys(&site, "current")).unwrap();
        assert_eq!(current, "privet-epoch/v1 1\n", "it was killed before the switch");
        assert!(keys(&site, "epoch-2").exists(), "and after the beginning");
        assert_eq!(fs::read(keys(&site, "slots/epoch-1.key")).unwrap(), old_slot);
        gateway = site.serve();
    }
    let (status, said) = run(&site.dir(), &["job", "watch", &id]);
    assert_eq!(status, Some(0), "{said}");

    for gone in ["epoch-1", "epoch-1.marker", "slots/epoch-1.key"] {
        assert!(!keys(&site, gone).exists(), "{gone}");
    }
    assert!(keys(&site, "epoch-2").exists() && keys(&site, "slots/epoch-2.key").exists());
    let told = output(&site.dir(), &["key", "status"]);
    assert_eq!(told["epoch"]["number"], 2);
    assert_eq!(told["subject_keys"]["people"], CROWD + people.len());
    assert_eq!(told["roll"], Value::Null);
    // From memory and from disk.
    for _ in 0..2 {
        let app = App { to: gateway.gateway, ..app.clone() };
        for id in &people {
            assert_eq!(app.email(id), format!("{id}@mail.example"));
        }
        gateway.kill9();
        gateway = site.serve();
    }
}
