//! What an operator sees while the root key's provider is silent, of a whole gateway.

use std::fs;
use std::time::Duration;

use privet::app::FillError;
use privet::app::Filling;
use privet::app::Loaded;
use privet::app::Plan;
use privet::app::Running;
use privet::app::Trust;
use privet::clock::SystemEntropy;
use privet::crypto::KdfCost;
use privet::keys::KeyRing;
use privet::net::Inherited;
use privet::types::DataSetId;
use tempfile::TempDir;

use super::locked::write;
use crate::harness::Reply;
use crate::harness::exchange;
use crate::transit_server::Mood;
use crate::transit_server::TOKEN;
use crate::transit_server::TransitServer;

struct Site {
    running: Running,
    provider: TransitServer,
    _home: TempDir,
}

impl Site {
    async fn start() -> Self {
        let (home, provider) = (TempDir::new().unwrap(), TransitServer::start().await);
        let dir = home.path().join("site");
        let plan = Plan { gateway: 0, admin: 0, demo: true, ..Plan::default() };
        privet::app::init(&dir, &plan, &SystemEntropy).await.unwrap();
        let file = dir.join("privet.toml");
        let text = fs::read_to_string(&file).unwrap();
        let (before, root) = text.split_once("[keys.root]").unwrap();
        let (_, after) = root.split_once("\n[").unwrap();
        let root = format!(
            "[keys]\ncached = \"1m\"\n[keys.root]\nprovider = \"openbao\"\nurl = \"{}\"\n\
             key = \"shop\"\ntoken_file = \"bao.token\"\n",
            provider.url()
        );
        fs::write(&file, format!("{before}{root}\n[{after}")).unwrap();
        write(&dir.join("bao.token"), TOKEN);
        fs::remove_dir_all(dir.join("data/keys")).unwrap();
        let mut loaded = Loaded::read(&file).unwrap();
        KeyRing::init(&loaded.config.keys, KdfCost::FLOOR, &SystemEntropy).await.unwrap();
        // A minute is the least that may be written; nobody waits for it here.
        loaded.config.keys.cached = Duration::from_secs(3);
        let running = Running::start(loaded, Trust::Demo, &Inherited::default()).await.unwrap();
        Self { running, provider, _home: home }
    }

    async fn page(&self, path: &str) -> (u16, String) {
        let admin = self.running.addresses().admin;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        let reply = Reply::parse(exchange(admin, request.as_bytes()).await, false);
        (reply.status, reply.text())
    }

    /// A record for a store, with its values sealed.
    async fn fill(&self) -> Result<String, FillError> {
        let set = DataSetId::parse("shop.customers").unwrap();
        let record = r#"{"id":"c-1","email":"ana@mail.example"}"#.to_owned();
        let filling = Filling { record, people: vec!["c-1".to_owned()] };
        Ok(self.running.fill(&set, &[filling]).await?.remove(0))
    }

    async fn until_it_says(&self, word: &str) {
        let waiting = async {
            while self.page("/readyz").await.1 != word {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect(word);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_told_that_keys_are_locked_and_when_they_are_open_again() {
    let site = Box::pin(Site::start()).await;
    site.until_it_says("ready\n").await;
    assert!(site.page("/readyz?verbose").await.1.contains("[+] keys ok\n"));
    assert!(site.page("/metrics").await.1.contains("privet_keys_locked 0\n"));
    assert!(site.fill().await.unwrap().contains("pvt1_"));
    let mut counted = 0;
    for mood in [Mood::Sealed, Mood::Expired, Mood::Lying] {
        site.provider.is(mood);
        site.until_it_says("degraded\n").await;
        let (status, page) = site.page("/readyz?verbose").await;
        assert_eq!(status, 200, "what needs no key is served, so calls still come here");
        assert!(page.contains(WHY), "{page}");
        assert!(page.ends_with("degraded\n"), "{page}");
        let (_, metrics) = site.page("/metrics").await;
        assert!(metrics.contains("privet_keys_locked 1\n"), "{metrics}");
        assert!(unconfirmed(&metrics) > counted, "{metrics}");
        counted = unconfirmed(&metrics);
        assert!(site.fill().await.is_err());
        site.provider.is(Mood::Well);
        site.until_it_says("ready\n").await;
        assert!(site.page("/metrics").await.1.contains("privet_keys_locked 0\n"));
    }
    assert!(site.fill().await.unwrap().contains("pvt1_"));
    site.running.stop().await;
}

/// How often the provider did not answer as it should, as `/metrics` says.
fn unconfirmed(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("privet_keys_unconfirmed_total "));
    line.unwrap().parse().unwrap()
}

const WHY: &str = "[!] keys locked: the root key's provider (openbao) did not answer for longer \
                   than `cached` of [keys]; calls that need a key are refused until it does\n";
