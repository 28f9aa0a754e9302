//! The log of a gateway under load, checked by code nobody here wrote: the Go team's
//! `golang.org/x/mod/sumdb/note` and `tlog`, through `dist/verify/privet-verify.go`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::harness::{Site, Store, privet, said};

/// As many entries make a log with three levels of tiles, the highest of which has two hashes.
const ENTRIES: u64 = 70_000;

/// Connections that call at the same time, and the calls each has under way, most of them refused.
const CONNECTIONS: u64 = 16;
pub(crate) const AT_ONCE: u64 = 16;
const REFUSALS: usize = 15;

/// Checkpoints that are kept elsewhere while the log grows.
const CHECKPOINTS: u64 = 4;

/// The verifier, built with the Go packages of Debian and without a network.
struct Verifier {
    program: PathBuf,
    _folder: tempfile::TempDir,
}

impl Verifier {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("privet-verify");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/verify/privet-verify.go");
        let out = Command::new("go")
            .arg("build")
            .arg("-o")
            .args([&program, &source])
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", folder.path().join("cache"))
            .output()
            .expect("Go is missing: run .ci/setup test");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Self { program, _folder: folder }
    }

    fn run(&self, site: &Site, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(["-key", "data/audit.pub"])
            .args(arguments)
            .current_dir(site.dir())
            .output()
            .unwrap()
    }

    /// What both verifiers say of the log and the checkpoints that were kept: whether it holds,
    /// and which entry each names first.
    fn agrees(&self, site: &Site, holds: bool, (go, privet_says): (&str, &str)) {
        let mut kept = Vec::new();
        for n in 0..CHECKPOINTS {
            kept.push(format!("kept-{n}"));
        }
        let since = |flag: &'static str| kept.iter().flat_map(move |file| [flag, file.as_str()]);
        let log: Vec<&str> = ["-dir", "data/audit"].into_iter().chain(since("-since")).collect();
        let out = self.run(site, &log);
        assert_eq!(out.status.code(), Some(i32::from(!holds)), "{}", said(&out));
        assert!(said(&out).contains(go), "{go}: {}", said(&out));
        let log: Vec<&str> = ["audit", "verify"].into_iter().chain(since("--since")).collect();
        let out = privet(&site.dir(), &log);
        assert_eq!(out.status.code(), Some(if holds { 0 } else { 5 }), "{}", said(&out));
        assert!(said(&out).contains(privet_says), "{privet_says}: {}", said(&out));
    }
}

/// Calls on one connection, [`AT_ONCE`] sent before the first is answered.
pub(crate) fn load(to: SocketAddr, token: &str, bursts: u64) {
    let call = |purpose: &str| {
        format!(
            "GET /shop/customers/c-5 HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {token}\r\n\
             Privet-Purpose: {purpose}\r\n\r\n"
        )
    };
    // A read makes two entries, a refusal one; refusals are faster.
    let burst = call("order_support") + &call("marketing").repeat(REFUSALS);
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..bursts {
        stream.write_all(burst.as_bytes()).unwrap();
        for _ in 0..AT_ONCE {
            take(&mut answers);
        }
    }
}

/// Reads one answer and throws it away.
fn take(answers: &mut impl BufRead) {
    let (mut line, mut length, mut chunked, mut first) = (String::new(), 0, false, true);
    while answers.read_line(&mut line).unwrap() > 2 {
        assert!(
            !first || ["HTTP/1.1 200", "HTTP/1.1 403"].iter().any(|word| line.starts_with(word)),
            "{line}"
        );
        first = false;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        chunked |= lower.starts_with("transfer-encoding: chunked");
        line.clear();
    }
    let mut body = Vec::new();
    answers.by_ref().take(length).read_to_end(&mut body).unwrap();
    while chunked {
        line.clear();
        answers.read_line(&mut line).unwrap();
        let size = u64::from_str_radix(line.trim(), 16).unwrap();
        answers.by_ref().take(size + 2).read_to_end(&mut body).unwrap();
        chunked = size > 0;
    }
}

/// Runs a gateway under load from [`CONNECTIONS`] sides and keeps a checkpoint now and then, as
/// somebody elsewhere would.
fn written_under_load() -> Site {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    site.limit("per_principal = { concurrent = 1000, per_second = 1000000 }");
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let bursts = ENTRIES / (AT_ONCE + 1) / CONNECTIONS / CHECKPOINTS + 1;
    for n in 0..CHECKPOINTS {
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| load(gateway.gateway, &token, bursts));
            }
        });
        let kept = site.dir().join(format!("kept-{n}"));
        fs::copy(site.dir().join("data/audit/checkpoint"), kept).unwrap();
    }
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
    site
}

fn size(checkpoint: &Path) -> u64 {
    fs::read_to_string(checkpoint).unwrap().lines().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_go_teams_verifier_confirms_a_log_written_under_load() {
    let verifier = Verifier::build();
    let site = written_under_load();
    let log = site.dir().join("data/audit");
    let entries = size(&log.join("checkpoint"));
    assert!(entries >= ENTRIES, "only {entries} entries");
    let kept: Vec<u64> =
        (0..CHECKPOINTS).map(|n| size(&site.dir().join(format!("kept-{n}")))).collect();
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "{kept:?}");
    verifier.agrees(
        &site,
        true,
        ("each proved to be under the signed root", "tree and signature hold"),
    );

    for index in [0, 255, 256, 65_535, 65_536, entries - 1] {
        let file = format!("{index}.tlog-proof");
        let out = privet(&site.dir(), &["audit", "prove", &index.to_string(), "--output", &file]);
        assert!(out.status.success(), "{}", said(&out));
        let out = verifier.run(&site, &["-proof", &file]);
        assert!(said(&out).contains(&format!("ok: entry {index} of {entries}")), "{}", said(&out));
        // The proof of one entry is none of another.
        let path = site.dir().join(&file);
        let text = fs::read_to_string(&path).unwrap();
        let other = format!("\nindex {}\n", (index + 1) % entries);
        fs::write(&path, text.replace(&format!("\nindex {index}\n"), &other)).unwrap();
        assert_eq!(verifier.run(&site, &["-proof", &file]).status.code(), Some(1), "{index}");
    }

    // One bit of an entry, a tile, a tile of tiles, the checkpoint. Where a tile of tiles is wrong,
    // the kept checkpoints do not fit already, and the Go team's code looks no further.
    for (file, at, told) in [
        ("tile/entries/003", 40, ("entry 768:", "entry 768 does not match")),
        ("tile/0/003", 32 * 7, ("entry 768:", "entry 775 does not match")),
        ("tile/1/000", 32 * 9, ("kept-0: the first", "entry 2304 does not match")),
        ("checkpoint", 22, ("checkpoint", "checkpoint cannot be trusted")),
    ] {
        let path = log.join(file);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        verifier.agrees(&site, false, told);
        fs::write(&path, whole).unwrap();
    }

    // An older log in the place of the newer one.
    fs::copy(site.dir().join("kept-0"), log.join("checkpoint")).unwrap();
    let gone = format!("entry {} is gone", kept[0]);
    verifier.agrees(&site, false, (&gone, &gone));
}
