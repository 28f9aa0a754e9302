//! Attacks by slowness, with a tool made for them: a caller who behaves is served all along, and
//! the attackers' connections are closed.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Gateway, Site, Store, get};

/// Small limits, so that patience ends within the seconds of a test; and so much room that all
/// slow readers, who share one credential, get as far as reading slowly.
const LIMITS: &str = "connections = 500\nconnections_per_peer = 300\n\
                      idle_s = 4\nhead_s = 2\nclient_write_s = 2\n\
                      record_bytes = 65536\nbuffer_bytes = 4294967296\n";
/// Runs one attack against `url` while somebody else calls, and gives all that the tool said and the
/// connections that the gateway held the last time somebody looked while the tool ran.
fn attack(gateway: &Gateway, token: &str, mode: &[&str], path: &str) -> (String, u32) {
    let url = format!("http://{}{path}", gateway.gateway);
    // The tool knows no other header of the caller's choice; its value ends where the line does,
    // so the credential follows on a line of its own: strangers get nothing worth reading slowly.
    let cookie = format!("a=b\r\nAuthorization: Bearer {token}\r\nPrivet-Purpose: order_support");
    let mut tool = Command::new("slowhttptest")
        .args(mode)
        .args(["-r", "200", "-l", "10", "-p", "3", "-u", &url, "-j", &cookie])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("slowhttptest is installed by `.ci/setup test`");
    let (mut calls, mut held) = (0, u32::MAX);
    while tool.try_wait().unwrap().is_none() {
        let asked = Instant::now();
        let answer = get(gateway.gateway, "/shop/customers/c-1002", token, "order_support");
        assert_eq!(answer.status, 200, "{mode:?}: {}", answer.head);
        assert!(asked.elapsed() < Duration::from_secs(5), "{mode:?}: {:?}", asked.elapsed());
        calls += 1;
        held = open_connections(gateway);
    }
    assert!(calls > 2, "{mode:?}: {calls} calls");
    let said = String::from_utf8_lossy(&tool.wait_with_output().unwrap().stdout).into_owned();
    (without_colours(&said), held)
}

fn open_connections(gateway: &Gateway) -> u32 {
    let metrics = get(gateway.admin, "/metrics", "", "").body;
    let metrics = String::from_utf8(metrics).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("privet_net_open "));
    line.unwrap().parse().unwrap()
}

fn without_colours(said: &str) -> String {
    let mut plain = String::new();
    let mut rest = said;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[test]
fn slow_heads_bodies_readers_and_ranges_starve_nobody() {
    let record = format!(r#"{{"id":"c-1002","country":"GB","name":"{}"}}"#, "a".repeat(4000));
    let list = format!("[{}]", vec![record.clone(); 8000].join(","));
    let store = Store::start(move |target| {
        Some(if target.starts_with("/customers/") { record.clone() } else { list.clone() })
    });
    let site = Site::new(store.address());
    site.limit(LIMITS);
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for mode in [
        // Each reader costs megabytes that no window takes, so they are few.
        // Heads, a line every second; bodies, some bytes every second; readers of few bytes in
        // ever smaller windows; ranges that overlap.
        &["-H", "-c", "100", "-i", "1"][..],
        &["-B", "-c", "100", "-i", "1", "-s", "100000"],
        &["-X", "-c", "8", "-w", "8", "-y", "16", "-n", "1", "-z", "8"],
        &["-R", "-c", "30", "-a", "5", "-b", "3000"],
    ] {
        let began = Instant::now();
        let (said, held) = attack(&gateway, &token, mode, "/shop/customers");
        eprintln!("{mode:?}: over after {:?}", began.elapsed());
        // The tool's last word when every connection was closed under it before its time. A reader
        // that takes eight bytes a second is at what its own system holds for much longer; there
        // the gateway's count shows that they were cut.
        let is_over = said.contains("No open connections left");
        assert!(is_over || mode.contains(&"-X") && held <= 2, "{mode:?}: {held} {said}");
        let looks = said.lines().filter(|line| line.starts_with("service available:"));
        assert!(looks.clone().count() > 0, "{said}");
        assert!(looks.into_iter().all(|line| line.ends_with("YES")), "{mode:?}: {said}");
    }
}
