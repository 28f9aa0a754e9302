//! The program: run to its end, or kept running as a gateway.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;

/// What a command said: data first, then talk.
pub(crate) fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Runs the program to its end in `dir`.
pub(crate) fn privet(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_privet"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A folder that `privet init` filled, with free ports and a store of the test's.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// A site in front of the store at `store`.
    pub(crate) fn new(store: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = privet(folder.path(), &["init", "site"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let site = Self { folder };
        site.edit("privet.toml", |text| {
            text.replace("http://127.0.0.1:7001", &format!("http://{store}"))
                .replace("127.0.0.1:7410", "127.0.0.1:0")
                .replace("127.0.0.1:7480", "127.0.0.1:0")
                .lines()
                .filter(|line| !line.starts_with("health ="))
                .map(|line| format!("{line}\n"))
                .collect()
        });
        site
    }

    /// The folder with privet.toml.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Changes a file.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.dir().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(text)).unwrap();
    }

    /// Writes other limits in the place of those of `privet init`.
    pub(crate) fn limit(&self, lines: &str) {
        self.edit("privet.toml", |text| {
            let (before, rest) = text.split_once("[gateway.limits]\n").unwrap();
            let (_, after) = rest.split_once("[admin]").unwrap();
            format!("{before}[gateway.limits]\n{lines}\n[admin]{after}")
        });
    }

    /// Writes down where operators reach the gateway, for the commands that ask it.
    pub(crate) fn reach(&self, gateway: &Gateway) {
        let listen = |address: &str| format!("[admin]\nlisten = [\"{address}\"]");
        self.edit("privet.toml", |text| {
            text.replacen(&listen("127.0.0.1:0"), &listen(&gateway.admin.to_string()), 1)
        });
    }

    /// A token of the development issuer.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        let mut all = vec!["token", "mint"];
        all.extend_from_slice(arguments);
        let out = privet(&self.dir(), &all);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Starts the gateway and waits until it says that it is ready.
    pub(crate) fn serve(&self) -> Gateway {
        let mut command = Command::new(env!("CARGO_BIN_EXE_privet"));
        command.arg("serve").stdin(Stdio::null());
        self.serve_by(command)
    }

    /// The same, on a socket that is handed over under a name, as systemd does it.
    pub(crate) fn serve_on(&self, socket: &TcpListener, name: &str) -> Gateway {
        self.serve_by(Self::on(socket, name))
    }

    /// The command that starts the gateway on a socket that is handed over.
    pub(crate) fn on(socket: &TcpListener, name: &str) -> Command {
        let mut command = Command::new("sh");
        let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" serve";
        command.args(["-c", script, env!("CARGO_BIN_EXE_privet")]);
        command.env("LISTEN_FDNAMES", name);
        command.stdin(OwnedFd::from(socket.try_clone().unwrap()));
        command
    }

    /// Starts the gateway by a command of the test's, and waits until it says that it is ready.
    pub(crate) fn serve_by(&self, mut command: Command) -> Gateway {
        let mut child = command
            .current_dir(self.dir())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).find(|line| {
            said.push_str(line);
            said.push('\n');
            line.starts_with("ready ")
        });
        let Some(ready) = ready else {
            child.kill().unwrap();
            panic!("the gateway did not start:\n{said}");
        };
        // The log is read to its end, so that the gateway never waits for its reader.
        let log = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
        let address = |name: &str| {
            let word = ready.split(' ').find_map(|w| w.strip_prefix(name)).unwrap();
            word.split("://").last().unwrap().parse().unwrap()
        };
        Gateway {
            child,
            gateway: address("gateway="),
            admin: address("admin="),
            said,
            log: Some(log),
        }
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    /// Where callers connect.
    pub(crate) gateway: SocketAddr,
    /// Where operators connect.
    pub(crate) admin: SocketAddr,
    said: String,
    log: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Gateway {
    /// The memory it holds, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends a signal, such as `-TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for the end and gives all that was logged.
    pub(crate) fn wait(self) -> (Option<i32>, String) {
        let (status, log) = self.end();
        (status.code(), log)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, however it comes, and gives all that was logged.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let lines = self.log.take().unwrap().join().unwrap();
        (status, format!("{}{}", self.said, lines.join("\n")))
    }

    /// Starts anew to look for the most memory it has in use.
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// The most memory it had in use, in bytes.
    pub(crate) fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Kills it as a power failure of the process would: no signal handler runs.
    pub(crate) fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
