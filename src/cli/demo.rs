//! `privet demo`: the table, and a gateway to try.

use crate::app::StartError;
use crate::demo::Demo;
use crate::demo::DemoError;
use crate::demo::Options;

use super::args::DemoArgs;
use super::exit::{Exit, Failure, data, tell};
use super::{log, serve};

/// Shows the table; without `--once` keeps running until Ctrl-C.
pub(super) fn run(wish: &DemoArgs) -> Result<(), Failure> {
    // The demo's own talk is the page; the log says only what went wrong.
    let _access_log = log::start("warn");
    let wrong = |e: &dyn std::error::Error| Failure::caused(Exit::Failed, e);
    let scratch = match &wish.dir {
        Some(_) => None,
        None => Some(Scratch::new().map_err(|e| wrong(&e))?),
    };
    let dir = wish.dir.clone().or_else(|| scratch.as_ref().map(|s| s.0.clone()));
    let options = Options {
        dir: dir.unwrap_or_default(),
        port: wish.ports.unwrap_or(if wish.once { 0 } else { 7410 }),
    };
    serve::block_on(async {
        let demo = Box::pin(Demo::start(&options)).await.map_err(|e| started(&e))?;
        let shown = demo.show().await.map_err(|e| wrong(&e))?;
        let withdrawal = demo.withdraw().await.map_err(|e| wrong(&e))?;
        match (wish.once, wish.json) {
            (true, true) => {
                let mut page = shown.json();
                if let Some(page) = page.as_object_mut() {
                    page.insert("withdrawal".into(), withdrawal.json());
                }
                data(&format!("{page:#}\n"))?;
            }
            (true, false) => data(&format!("{}{}", shown.table(), withdrawal.page()))?,
            (false, _) => {
                data(&demo.page(&shown, &withdrawal, &program()))?;
                let kept =
                    if wish.dir.is_some() { "everything is kept" } else { "nothing is kept" };
                tell(&format!("  Stop with Ctrl-C; {kept}."));
                serve::Signals::listen()?.any().await;
            }
        }
        demo.stop().await;
        Ok(())
    })
}

fn started(error: &DemoError) -> Failure {
    let failure = Failure::caused(Exit::Failed, error);
    match error {
        DemoError::Start(StartError::Listen { .. }) => {
            failure.with_suffix("; `--ports 0` picks free ones for a new demo")
        }
        _ => failure,
    }
}

/// How this program was called.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "privet".to_owned())
}

/// A folder that is gone when the demo is.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let name = format!("privet-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tell(&format!("privet: `{}` could not be removed: {error}", self.0.display()));
        }
    }
}
