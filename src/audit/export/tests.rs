//! Exports to real receivers: some fail, some die, some only say that they took a batch.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::*;
use crate::audit::AuditConfig;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::clock::SystemClock;
use crate::clock::SystemEntropy;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::crypto::note::NoteKey;

const ORIGIN: &str = "log.example/export";
const SECRET: [u8; 32] = [0x61; 32];

/// A log, and a folder for whatever an export of it needs.
pub(super) struct Site {
    folder: tempfile::TempDir,
    pub(super) log: Log,
}

impl Site {
    pub(super) async fn with(entries: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = AuditConfig::new(folder.path().join("audit"), ORIGIN);
        (config.min_free_bytes, config.checkpoint_every_ms) = (0, 20);
        let key = NoteKey::new(ORIGIN, Signer::from_seed(&Secret::new([7; 32]))).unwrap();
        let log = Log::open(config, key, Arc::new(SystemClock)).unwrap();
        let site = Self { folder, log };
        site.add(entries).await;
        site
    }

    /// Records entries that say which they are.
    pub(super) async fn add(&self, entries: u64) {
        let size = self.log.published().unwrap().size;
        for n in size..size + entries {
            let mut entry = Entry::new(Kind::Release);
            entry.request_id = Some(format!("request-{n}").into());
            self.log.note(entry);
        }
        self.log.flush().await.unwrap();
    }

    pub(super) fn dir(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn export(&self, format: Format, to: Receiver) -> Exporter {
        let config = ExportConfig { name: "test".to_owned(), format, to };
        let sources = (Arc::new(SystemClock) as _, Arc::new(SystemEntropy) as _);
        Exporter::new(&config, self.log.clone(), sources, &ExportMetrics::default()).unwrap()
    }

    /// The first entry that has not been taken, as it stands on the disk.
    pub(super) fn next(&self) -> u64 {
        let Ok(text) = std::fs::read(self.dir().join("audit.exports/test")) else { return 0 };
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["next"].as_u64().unwrap()
    }

    /// Runs an export until its place is `end`; it is dropped wherever it then stands.
    pub(super) async fn run_to(&self, export: Exporter, end: u64) {
        let reached = async {
            while self.next() < end {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = export.run() => {}
            () = reached => {}
            () = tokio::time::sleep(std::time::Duration::from_secs(60)) => panic!("it takes too long"),
        }
    }
}

/// The index in each line of JSONL.
pub(super) fn indexes(text: &str) -> Vec<u64> {
    let row = |line: &str| -> u64 {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let index = row["index"].as_u64().unwrap();
        assert_eq!(row["request_id"], format!("request-{index}"));
        index
    };
    text.lines().map(row).collect()
}

/// The files of a folder in order, finished or not.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_hold_every_entry_once_whatever_was_cut_off() {
    let site = Site::with(600).await;
    let dir = site.dir().join("out");
    let to = || Receiver::File { dir: dir.clone(), rotate_bytes: 20_000 };
    site.run_to(site.export(Format::Jsonl, to()), 256).await;
    for round in 1..4_u64 {
        // A kill between the write and the note of it leaves rows that are not counted.
        let part = files(&dir).into_iter().find(|file| file.extension().unwrap() == "part");
        if let Some(part) = part {
            let mut text = std::fs::read_to_string(&part).unwrap();
            text.push_str("{\"index\":9999,\"torn");
            std::fs::write(&part, text).unwrap();
        }
        site.add(300).await;
        site.run_to(site.export(Format::Jsonl, to()), 600 + 300 * round).await;
    }
    let files = files(&dir);
    assert!(files.len() > 3, "{files:?}");
    let unfinished = files.iter().filter(|file| file.extension().unwrap() == "part").count();
    assert!(unfinished <= 1, "{files:?}");
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(indexes(&text), (0..1500).collect::<Vec<_>>());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let first = indexes(&std::fs::read_to_string(&file).unwrap())[0];
        assert!(name.starts_with(&format!("test-{first:020}.jsonl")), "{name} begins with {first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_file_of_csv_has_its_own_head() {
    let site = Site::with(700).await;
    let dir = site.dir().join("out");
    let to = Receiver::File { dir: dir.clone(), rotate_bytes: 1000 };
    site.run_to(site.export(Format::Csv, to), 700).await;
    let mut rows = 0;
    for file in files(&dir) {
        let mut reader = ::csv::Reader::from_path(file).unwrap();
        assert_eq!(&reader.headers().unwrap()[0], "index");
        rows += reader.records().map(Result::unwrap).count();
    }
    assert_eq!(rows, 700);
}

/// What a webhook got: the id and the body of what it took.
type Taken = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver that handles one request of every connection as `fate` says for its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Take,
    /// Takes it, and dies before it can say so.
    TakeAndDie,
    Refuse(u16),
    /// Dies in the midst of the request.
    Die,
}

async fn webhook(fate: impl Fn(usize) -> Fate + Send + 'static) -> (SocketAddr, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Taken::default());
    let seen = Arc::clone(&taken);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream, fate(number), &seen).await;
        }
    });
    (address, taken)
}

async fn answer(stream: TcpStream, fate: Fate, taken: &Taken) {
    let mut stream = BufReader::new(stream);
    let mut headers = std::collections::BTreeMap::new();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 2 {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    if fate == Fate::Die {
        return;
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    // Another implementation than the gateway's own.
    let (id, time) = (&headers["webhook-id"], &headers["webhook-timestamp"]);
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", &body].concat();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    let signature = headers["webhook-signature"].strip_prefix("v1,").unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    aws_lc_rs::hmac::verify(&key, &signed, &signature).expect("the signature holds");
    assert!(time.parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(id.split('_').count(), 4, "{id}");
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let status = match fate {
        Fate::Refuse(status) => status,
        _ => {
            taken.lock().unwrap().push((id.clone(), String::from_utf8(body).unwrap()));
            202
        }
    };
    if fate != Fate::TakeAndDie {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
    }
}

fn webhook_to(site: &Site, address: SocketAddr) -> Receiver {
    use std::os::unix::fs::PermissionsExt;

    let secret_file = site.dir().join("secret");
    std::fs::write(&secret_file, format!("whsec_{}\n", STANDARD.encode(SECRET))).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("http://{address}/in?from=privet").parse().unwrap();
    Receiver::Webhook { url, secret_file, ca: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_fails_half_of_the_time_gets_every_entry_in_order() {
    let site = Site::with(1700).await;
    let fates = [Fate::Refuse(500), Fate::Take, Fate::Die, Fate::TakeAndDie, Fate::Take];
    let (address, taken) = webhook(move |number| fates[number % fates.len()]).await;
    site.run_to(site.export(Format::Jsonl, webhook_to(&site, address)), 1700).await;
    let taken = taken.lock().unwrap();
    let (mut next, mut ids) = (0, BTreeSet::new());
    for (id, body) in taken.iter() {
        let found = indexes(body);
        // What was taken before and not said comes again, under the same id.
        if found[0] < next {
            assert!(ids.contains(id), "{id} is new");
        } else {
            assert_eq!(found[0], next, "{id}");
            assert!(ids.insert(id.clone()), "{id} is not new");
        }
        assert!(found.windows(2).all(|pair| pair[1] == pair[0] + 1), "{id}");
        next = found.last().unwrap() + 1;
    }
    assert_eq!(next, 1700);
    assert!(taken.len() > ids.len(), "nothing came twice: the test shows less than it should");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_on_where_it_was_cut_off() {
    let site = Site::with(2000).await;
    let (address, taken) = webhook(|_| Fate::Take).await;
    for end in [1, 300, 600, 1700, 2000] {
        site.run_to(site.export(Format::Jsonl, webhook_to(&site, address)), end).await;
    }
    let all: BTreeSet<u64> =
        taken.lock().unwrap().iter().flat_map(|(_, body)| indexes(body)).collect();
    assert_eq!(all, (0..2000).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_counts_as_lag_and_the_place_does_not_move() {
    let site = Site::with(300).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (address, _) = webhook(move |number| {
        counted.store(number + 1, Ordering::SeqCst);
        Fate::Refuse(503)
    })
    .await;
    let export = site.export(Format::Jsonl, webhook_to(&site, address));
    let status = export.status();
    assert!(status.is_well());
    tokio::select! {
        () = export.run() => {}
        () = async { while calls.load(Ordering::SeqCst) < 3 { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(site.next(), 0);
    assert!(!status.is_well());
    assert_eq!(status.to_string(), "test 300 entries behind: the receiver answers with 503");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_fits_no_log_stops_the_export_instead_of_leaving_entries_out() {
    let site = Site::with(10).await;
    let (address, taken) = webhook(|_| Fate::Take).await;
    let place = site.dir().join("audit.exports/test");
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    for (text, what) in [
        (r#"{"v":1,"log":"log.example/export","next":11}"#, "shorter"),
        (r#"{"v":1,"log":"log.example/other","next":1}"#, "place"),
        (r#"{"v":2,"log":"log.example/export","next":1}"#, "place"),
        ("", "place"),
    ] {
        std::fs::write(&place, text).unwrap();
        let export = site.export(Format::Jsonl, webhook_to(&site, address));
        let status = export.status();
        tokio::select! {
            () = export.run() => {}
            () = async { while status.is_well() { tokio::task::yield_now().await } } => {}
        }
        assert!(status.to_string().contains(what), "{text}: {status}");
    }
    assert!(taken.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minimum_that_somebody_put_into_the_folder_leaves_nothing_out() {
    let site = Site::with(700).await;
    let forged = format!("privet.minimum/v1\n{ORIGIN}\n512\n699\n\n\u{2014} {ORIGIN} AAAA\n");
    std::fs::write(site.dir().join("audit/minimum"), forged).unwrap();
    assert_eq!(site.log.minimum(), 0);
    let dir = site.dir().join("out");
    let to = Receiver::File { dir: dir.clone(), rotate_bytes: 1 << 30 };
    site.run_to(site.export(Format::Jsonl, to), 700).await;
    let text: String =
        files(&dir).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(indexes(&text), (0..700).collect::<Vec<_>>());
}
