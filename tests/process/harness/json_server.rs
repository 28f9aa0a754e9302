//! json-server, a store that nobody here wrote.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use privet::clock::{Clock, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

/// The file it keeps its data in.
const FILE: &str = "db.json";

/// A running json-server 0.17; it ends when dropped.
pub(crate) struct JsonServer {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl JsonServer {
    /// Starts it with `data`. It must be there: a test that passes without its store shows nothing.
    pub(crate) fn start(data: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/stores/json-server/node_modules/json-server/lib/cli/bin.js");
        assert!(script.exists(), "json-server is not there; `.ci/setup test` fetches it");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        fs::write(&file, data.to_string()).unwrap();
        // A port that was free a moment ago; json-server cannot pick one itself.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("node")
            .arg(&script)
            .args(["--quiet", "--host", "127.0.0.1", "--port", &address.port().to_string()])
            .arg(&file)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, address, folder };
        // Connecting is retried by the system's clock alone: a refused connect returns at once.
        let deadline_ms = SystemClock.uptime_ms() + 30_000;
        while TcpStream::connect(server.address).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "json-server ended");
            assert!(SystemClock.uptime_ms() < deadline_ms, "json-server does not listen");
            std::thread::yield_now();
        }
        server
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its file holds, once that is `until`: it is written after the answer.
    pub(crate) fn file(&self, until: impl Fn(&Value) -> bool) -> Value {
        let deadline_ms = SystemClock.uptime_ms() + 10_000;
        loop {
            let text = fs::read(self.folder.path().join(FILE)).unwrap();
            let data = serde_json::from_slice::<Value>(&text).unwrap_or_default();
            if until(&data) || SystemClock.uptime_ms() > deadline_ms {
                return data;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for JsonServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
