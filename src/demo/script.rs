//! The demo from an empty folder: fill it, stock the shop, start the gateway, ask as each caller.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::app::FillError;
use crate::app::Filling;
use crate::app::InitError;
use crate::app::Loaded;
use crate::app::Plan;
use crate::app::Running;
use crate::app::StartError;
use crate::app::Trust;
use crate::authn::AuthnError;
use crate::authn::DevIssuer;
use crate::authn::IssuerConfig;
use crate::authn::Wanted;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::clock::SystemEntropy;
use crate::net::Inherited;
use crate::types::DataSetId;

use super::call::{self, CallError};
use super::people;
use super::store::{self, Shop};
use super::table;
use super::withdrawal::{Desk, Withdrawal};

/// How the demo is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder for everything.
    pub dir: PathBuf,
    /// The gateway's port, or 0 for free ones everywhere.
    pub port: u16,
}

/// The demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A call to the gateway failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The folder holds something else.
    #[error(
        "`{0}` is not empty and holds no demo: choose an empty folder, or one of an earlier demo"
    )]
    Folder(PathBuf),
    /// The people could not be sealed.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// The folder could not be filled.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A file or socket of the demo.
    #[error("cannot set up {what}")]
    Io {
        /// Which.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A token could not be made.
    #[error(transparent)]
    Mint(#[from] AuthnError),
    /// A caller who should have been answered was not.
    #[error("the gateway answered {status} to {who}: {answer}")]
    Refused {
        /// Which caller.
        who: &'static str,
        /// The status.
        status: StatusCode,
        /// The answer.
        answer: Value,
    },
    /// The gateway did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    dir: PathBuf,
    running: Running,
    tokens: Vec<(&'static str, String)>,
    shop: Arc<Shop>,
    // Stops with the demo.
    open: tokio::task::JoinHandle<io::Result<std::convert::Infallible>>,
}

/// One record as it is stored, and as each caller was given it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// As the store keeps it.
    pub stored: Value,
    /// What each caller got.
    pub views: Vec<(&'static str, Value)>,
}

/// Whom the demo lets in.
struct Caller {
    name: &'static str,
    role: Option<&'static str>,
    purpose: &'static str,
    mfa: bool,
}

const CALLERS: &[Caller] = &[
    Caller { name: "support", role: Some("support"), purpose: "order_support", mfa: false },
    Caller { name: "analyst", role: Some("analyst"), purpose: "analytics", mfa: false },
    Caller { name: "marketing", role: Some("marketing"), purpose: "marketing_email", mfa: false },
    Caller { name: "dpo", role: Some("dpo"), purpose: "subject_request", mfa: true },
    Caller { name: "admin", role: Some("admin"), purpose: "operations", mfa: true },
    Caller { name: "shop_app", role: Some("shop-app"), purpose: "operations", mfa: false },
    Caller { name: "customer", role: None, purpose: "subject_request", mfa: false },
];

/// Whose view the table shows: caller, purpose, path. The analyst has only a list, because the
/// token of a pseudonymised field is no way to look a person up.
const VIEWS: &[(&str, &str, &str)] = &[
    ("support", "order_support", "/shop/customers/c-1002"),
    ("analyst", "analytics", "/shop/customers?limit=1&offset=1"),
    ("admin", "operations", "/shop/customers/c-1002"),
    ("customer", "subject_request", "/shop/customers/c-1002"),
];

impl Demo {
    /// Fills the folder, stocks the shop and starts the gateway.
    pub async fn start(options: &Options) -> Result<Self, DemoError> {
        let io = |what| move |source| DemoError::Io { what, source };
        require_demo(&options.dir)?;
        let (listener, address) = store::bind(0).await.map_err(io("the demo's store"))?;
        let shop = Arc::new(Shop::empty());
        let open = tokio::spawn(Arc::clone(&shop).serve(listener));
        let plan = Plan {
            store: format!("http://{address}"),
            gateway: options.port,
            admin: if options.port == 0 { 0 } else { options.port.saturating_add(70) },
            demo: true,
            ..Plan::default()
        };
        let config = options.dir.join("privet.toml");
        if config.exists() {
            crate::app::move_store(&config, &plan.store)?;
        } else {
            crate::app::init(&options.dir, &plan, &SystemEntropy).await?;
        }
        let loaded = Loaded::read(&config).map_err(StartError::from)?;
        let tokens = mint_all(&options.dir, &loaded.config.authn.issuers)?;
        let running = Running::start(loaded, Trust::Demo, &Inherited::default()).await?;
        let people = sealed_people(&running).await?;
        shop.stock(people);
        let demo = Self { dir: options.dir.clone(), running, tokens, shop, open };
        demo.write_files().map_err(io("the demo's files"))?;
        Ok(demo)
    }

    /// Asks for one person's record as each caller.
    pub async fn show(&self) -> Result<Shown, DemoError> {
        let mut views = Vec::new();
        for (who, purpose, path) in VIEWS {
            let token = self.token(who);
            let (status, answer) = call::get(self.gateway(), path, token, purpose).await?;
            if status != StatusCode::OK {
                return Err(DemoError::Refused { who, status, answer });
            }
            let record = match answer {
                Value::Array(mut rows) if !rows.is_empty() => rows.swap_remove(0),
                other => other,
            };
            views.push((*who, record));
        }
        let id = people::customer_id(people::SHOWN);
        Ok(Shown { stored: self.shop.customer(&id).unwrap_or_default(), views })
    }

    /// Lets some people agree to the newsletter and one take it back, and tells what marketing
    /// got before and after.
    pub async fn withdraw(&self) -> Result<Withdrawal, DemoError> {
        let token = fs::read_to_string(self.dir.join("operator.token"));
        let token = token.map_err(|source| DemoError::Io { what: "the operator", source })?;
        let addresses = self.running.addresses();
        let desk = Desk {
            gateway: addresses.gateway,
            admin: addresses.admin,
            operator: token.trim(),
            marketing: self.token("marketing"),
        };
        desk.withdraw().await
    }

    /// Where the gateway listens.
    pub fn gateway(&self) -> SocketAddr {
        self.running.addresses().gateway
    }

    /// What to try next, for people; `program` is how they call this program.
    pub fn page(&self, shown: &Shown, withdrawal: &Withdrawal, program: &str) -> String {
        let dir = self.dir.display();
        let gateway = self.gateway();
        let admin = self.running.addresses().admin;
        let curl = |who: &str, purpose: &str, path: &str| {
            format!(
                "    curl -H \"Authorization: Bearer $(cat {dir}/tokens/{who})\" \
                 -H \"Privet-Purpose: {purpose}\" \"http://{gateway}{path}\"\n"
            )
        };
        // The same line with a body: the only caller whose grant needs no fresh second factor.
        let change = |body: &str| {
            let line = curl("shop_app", "operations", "/shop/customers/c-1002");
            let with = format!("curl -X PATCH -H 'Content-Type: application/json' -d '{body}' ");
            line.replacen("curl ", &with, 1)
        };
        let mut page = format!(
            "\n  DEMO: made-up people, public keys. Never point real data at it.\n\n  \
             gateway  http://{gateway}/shop   {} customers and their orders behind policies/\n  \
             admin    http://{admin}/readyz?verbose   /metrics\n\n  \
             Customer c-1002, as stored and as four callers see it:\n\n",
            people::PEOPLE
        );
        page.push_str(&shown.table());
        page.push_str(&withdrawal.page());
        page.push_str("\n  Try it:\n");
        page.push_str(&curl("support", "order_support", "/shop/customers/c-1002"));
        page.push_str(&curl("analyst", "analytics", "/shop/customers?limit=3"));
        page.push_str(&curl("marketing", "marketing_email", "/shop/customers/c-1002"));
        page.push_str("        # 403, and the reason\n");
        page.push_str(&curl("marketing", "marketing_email", "/shop/customers?limit=5"));
        page.push_str(&format!(
            "    curl -X POST -H \"Authorization: Bearer $(cat {dir}/operator.token)\" -d \
             '{{\"id\": \"c-1001\", \"consent\": \"marketing\", \"given\": false}}' \
             http://{admin}/api/v1/subjects/consent\n        # in another terminal: the list above is \
             one shorter when it is asked for next (privet consent withdraw does the same)\n"
        ));
        page.push_str(&change(r#"{"phone": "+447700900123"}"#));
        page.push_str("        # changes this field; what was not sent stays\n");
        page.push_str(&change(r#"{"health_note": "none"}"#));
        page.push_str("        # 403: the shop may not write this field, nor see it\n");
        page.push_str(&format!(
            "    {program} audit verify --config {dir}/privet.toml\n        # nothing was cut out of the log\n\n"
        ));
        page
    }

    /// Stops the gateway and the shop; nothing under way is cut.
    pub async fn stop(self) {
        self.running.stop().await;
        self.open.abort();
    }

    fn token(&self, who: &str) -> &str {
        self.tokens.iter().find(|(name, _)| *name == who).map_or("", |(_, token)| token)
    }

    /// Everything a script needs to go on: addresses and tokens.
    fn write_files(&self) -> io::Result<()> {
        let folder = self.dir.join("tokens");
        fs::create_dir_all(&folder)?;
        let mut tokens = Map::new();
        for (name, token) in &self.tokens {
            write_secret(&folder.join(name), token)?;
            tokens.insert((*name).to_owned(), Value::from(token.as_str()));
        }
        let addresses = self.running.addresses();
        let about = json!({
            "gateway": format!("http://{}", addresses.gateway),
            "postgres": null,
            "admin": format!("http://{}", addresses.admin),
            "portal": null,
            "tokens": tokens,
        });
        write_secret(&self.dir.join(ABOUT), &format!("{about:#}\n"))
    }
}

impl Shown {
    /// The table for people.
    pub fn table(&self) -> String {
        let mut columns = vec![("as stored", &self.stored)];
        columns.extend(self.views.iter().map(|(who, record)| (*who, record)));
        table::table(&columns)
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let views: Map<String, Value> =
            self.views.iter().map(|(who, record)| ((*who).to_owned(), record.clone())).collect();
        json!({ "as_stored": self.stored, "views": views })
    }
}

/// The made-up people as the shop is to keep them.
async fn sealed_people(running: &Running) -> Result<Vec<Value>, DemoError> {
    let Ok(set) = DataSetId::parse("shop.customers") else { return Ok(Vec::new()) };
    let filling =
        |n| Filling { record: people::person(n).to_string(), people: vec![people::customer_id(n)] };
    let people: Vec<Filling> = (1..=people::PEOPLE).map(filling).collect();
    let sealed = running.fill(&set, &people).await?;
    Ok(sealed.iter().filter_map(|record| serde_json::from_str(record).ok()).collect())
}

/// A folder that a demo may fill or go on with: it rewrites privet.toml there.
fn require_demo(dir: &Path) -> Result<(), DemoError> {
    let holds_any = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    match holds_any && !dir.join(ABOUT).exists() {
        true => Err(DemoError::Folder(dir.to_owned())),
        false => Ok(()),
    }
}

/// What says that a folder is a demo's.
const ABOUT: &str = "demo.json";

fn mint_all(
    dir: &Path,
    issuers: &[IssuerConfig],
) -> Result<Vec<(&'static str, String)>, DemoError> {
    let signer = DevIssuer::open(&dir.join("certs"))?;
    let now = SystemClock.now();
    let Some(issuer) = issuers.first() else { return Ok(Vec::new()) };
    let mut tokens = Vec::new();
    for caller in CALLERS {
        let wanted = Wanted {
            owner: format!("demo-{}", caller.name),
            roles: caller.role.iter().map(|role| (*role).to_owned()).collect(),
            purposes: vec![caller.purpose.to_owned()],
            subject_id: (caller.name == "customer").then(|| people::customer_id(people::SHOWN)),
            region: Some("GB".into()),
            mfa: caller.mfa,
            ttl_s: 8 * 3600,
            ..Wanted::default()
        };
        tokens.push((caller.name, signer.mint(issuer, &wanted, now)?));
    }
    Ok(tokens)
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}
