//! Keys stay in the process: no core file, nothing for other processes to read, and no key in
//! anything that is written.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use privet::crypto::{
    Kid, SealKey, Secret, SubjectKey, SubjectKeyRecord, derive, length_prefixed, open_root,
};
use privet::state::{Engine, StateConfig, StateStore};

use crate::harness::{Site, Store, get, privet};

/// The names of the domains of the shipped policy.
const DOMAINS: [&str; 2] = ["person", "employee"];

/// Every secret of a site that is stopped, with its name: the passphrase, the root key, the key of
/// every slot, and every person's.
pub(crate) fn secrets(site: &Path) -> Vec<(String, Vec<u8>)> {
    let keys = site.join("data/keys");
    let passphrase = fs::read_to_string(site.join("data/root.passphrase")).unwrap();
    let passphrase = passphrase.trim_end().to_owned();
    let root = fs::read_to_string(site.join("data/root.key")).unwrap();
    let root = open_root(&root, passphrase.as_bytes()).ok().unwrap();
    let slots = SealKey::new(&derive(&root, &[b"privet/root/v1", b"slots"]));
    let mut found = vec![
        ("the passphrase".to_owned(), passphrase.into_bytes()),
        ("the root key".to_owned(), root.expose().to_vec()),
    ];
    for entry in fs::read_dir(keys.join("slots")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (header, sealed) = text.trim_end().rsplit_once(' ').unwrap();
        let context = length_prefixed(&[b"shop-example", format!("{header} ").as_bytes()]);
        let sealed = URL_SAFE_NO_PAD.decode(sealed).unwrap();
        let plain = slots.open(&sealed, &context).unwrap().to_vec();
        found.push((path.file_stem().unwrap().to_string_lossy().into_owned(), plain));
    }
    assert!(found.len() >= 8, "the slots are here");
    let epoch = found.iter().find(|(name, _)| name.starts_with("epoch-")).unwrap();
    let epoch = Secret::from_slice(&epoch.1).unwrap();
    let people = people(&keys.join("epoch-1"), &epoch);
    assert!(!people.is_empty(), "somebody has a key");
    found.extend(people);
    found
}

/// The key of everybody in an epoch's folder.
fn people(folder: &Path, epoch: &Secret) -> Vec<(String, Vec<u8>)> {
    let engine = Engine::open(&StateConfig::Sled { path: folder.to_owned() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(engine.scan(b"subject/", None, 1_000)).unwrap();
    let mut found = Vec::new();
    for item in rows.items {
        let record = item.key.strip_prefix(b"subject/").unwrap();
        let row = SubjectKeyRecord::decode(&item.value.value).unwrap();
        for generation in &row.generations {
            let opened = DOMAINS.iter().find_map(|domain| {
                let with = derive(epoch, &[b"privet/domain/v1", domain.as_bytes()]);
                let context = length_prefixed(&[
                    b"privet/subject-key/v1",
                    b"shop-example",
                    domain.as_bytes(),
                    record,
                    &row.epoch.to_be_bytes(),
                    &generation.number.to_be_bytes(),
                    &[generation.state.code()],
                    &generation.kid.0,
                ]);
                SealKey::new(&with).open(&generation.wrapped, &context).ok()
            });
            let key = opened.expect("a person's key opens");
            // It is the key indeed: its id is computed from it.
            let kid: Kid = SubjectKey::new(key.as_slice().try_into().unwrap()).kid();
            assert_eq!(kid, generation.kid);
            found.push((format!("the key of person {}", found.len() + 1), key.to_vec()));
        }
    }
    found
}

/// The spellings in which a secret could have been written.
pub(crate) fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let upper = hex.to_uppercase();
    let list: Vec<String> = secret.iter().map(u8::to_string).collect();
    let mut all = vec![secret.to_vec(), hex.into_bytes(), upper.into_bytes()];
    all.push(list.join(", ").into_bytes());
    all.push(STANDARD.encode(secret).trim_end_matches('=').as_bytes().to_vec());
    all.push(URL_SAFE_NO_PAD.encode(secret).into_bytes());
    all
}

/// Whether any spelling of a secret stands in the bytes.
pub(crate) fn tells(bytes: &[u8], secret: &[u8]) -> bool {
    spellings(secret).iter().any(|needle| memchr::memmem::find(bytes, needle).is_some())
}

#[test]
fn no_36_no_core_is_written_and_no_other_process_may_look_into_this_one() {
    let store = Store::start(|_| None);
    let site = Site::new(store.address());
    // As much of a core file as this machine allows, and, for root, no capability to look into
    // everything: with it the kernel would not even ask whether the process may be dumped.
    let script = "ulimit -c $(ulimit -Hc); exec \"$0\" \"$@\"";
    let mut command = plain("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_privet"), "serve"]);
    let gateway = site.serve_by(command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words.get(4..6), Some(["0", "0"].as_slice()), "{core}");

    // What this looks with does see into a process that lets it.
    let open = Sleeper(plain("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap());
    let looked = |id: u32, file: &str| -> Output {
        plain("head").args(["-c", "1", &format!("/proc/{id}/{file}")]).output().unwrap()
    };
    while !looked(open.0.id(), "environ").status.success() {
        // It has not become `sleep` yet.
        std::thread::yield_now();
    }
    for file in ["environ", "maps", "mem"] {
        let told = looked(gateway.id(), file);
        assert!(!told.status.success() && told.stdout.is_empty(), "{file} can be read");
    }

    gateway.signal("-ABRT");
    let (status, log) = gateway.end();
    assert_eq!(status.signal(), Some(6), "{log}");
    assert!(!status.core_dumped(), "the system says that a core was written");
    for entry in fs::read_dir(site.dir()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with("core"), "{name} was written");
    }
}

/// A command without the capability to look into every process.
fn plain(program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", program]);
    command
}

struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn no_36_no_key_is_in_any_file_log_line_or_metric() {
    let record = r#"{"id":"c-7","name":"Eva","email":"eva@mail.example","country":"GB"}"#;
    let store = Store::start(move |_| Some(record.to_owned()));
    let site = Site::new(store.address());
    let added = privet(&site.dir(), &["operator", "add", "ada", "--role", "admin", "--totp"]);
    let added = String::from_utf8(added.stdout).unwrap();
    let (_, code) = added.split_once("secret=").unwrap();
    let code = code.split('&').next().unwrap().to_owned();
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    assert_eq!(get(gateway.gateway, "/shop/customers/c-7", &token, "order_support").status, 200);
    for path in ["/shop/customers/c-8?x=1", "/shop/%00", "/nowhere"] {
        get(gateway.gateway, path, &token, "order_support");
    }
    let mut texts = Vec::new();
    for path in ["/metrics", "/readyz?verbose", "/api/v1/status"] {
        texts.push((path, get(gateway.admin, path, "", "").body));
    }
    gateway.signal("-TERM");
    let (code_of_exit, log) = gateway.wait();
    assert_eq!(code_of_exit, Some(0), "{log}");
    texts.push(("the log on stderr", log.into_bytes()));
    let search = privet(&site.dir(), &["audit", "search", "--output", "jsonl"]);
    assert!(!search.stdout.is_empty());
    texts.push(("audit search", search.stdout));

    let mut secrets = secrets(&site.dir());
    secrets.push(("the secret of a second factor".to_owned(), code.into_bytes()));
    for (name, secret) in &secrets {
        for (place, text) in &texts {
            assert!(!tells(text, secret), "{name} is in {place}");
        }
        for file in crate::planted::files(&site.dir()) {
            let is_passphrase_file = file.ends_with("root.passphrase");
            if name == "the passphrase" && is_passphrase_file {
                continue;
            }
            let bytes = fs::read(&file).unwrap();
            assert!(!tells(&bytes, secret), "{name} is in {}", file.display());
        }
    }
}
