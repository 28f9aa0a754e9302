//! `privet witness`: the second signature under somebody else's checkpoints.

use std::path::Path;

use crate::app;
use crate::app::CosignerError;
use crate::app::CosignerSetup;
use crate::app::RunningCosigner;
use crate::clock::SystemEntropy;
use crate::net::TlsConfig;

use super::args::WitnessCommand;
use super::exit::{Exit, Failure, data, tell};
use super::log;
use super::serve;

/// Runs one of the commands.
pub(super) fn run(command: WitnessCommand) -> Result<(), Failure> {
    match command {
        WitnessCommand::Init { dir, name } => init(&dir, &name),
        WitnessCommand::Serve { dir, listen, tls_cert, tls_key } => {
            let tls = tls_cert.zip(tls_key);
            let tls = tls.map(|(cert, key_file)| TlsConfig { cert, key_file, client_ca: None });
            watch(&CosignerSetup { dir, listen, tls })
        }
    }
}

fn init(dir: &Path, name: &str) -> Result<(), Failure> {
    let public = app::init_cosigner(dir, name, &SystemEntropy).map_err(|e| failed(&e))?;
    data(&format!("{public}\n"))?;
    let dir = dir.display();
    tell(&format!(
        "Next: write the public key of each log (audit.pub) into {dir}/logs, then privet witness serve {dir}\n\
         The key above goes into privet.toml of the gateway and to everybody who checks its log."
    ));
    Ok(())
}

/// Until SIGTERM or SIGINT; SIGHUP ends it too, for there is nothing to read anew but at a start.
fn watch(setup: &CosignerSetup) -> Result<(), Failure> {
    let _access_log = log::start("info");
    serve::block_on(async {
        let running = RunningCosigner::start(setup).map_err(|e| failed(&e))?;
        let mut signals = serve::Signals::listen()?;
        let scheme = if setup.tls.is_some() { "https" } else { "http" };
        tell(&format!("ready witness={scheme}://{} logs={}", running.address(), running.logs()));
        signals.any().await;
        running.stop().await;
        Ok(())
    })
}

fn failed(error: &CosignerError) -> Failure {
    let code = match error {
        CosignerError::Name(_) | CosignerError::Open(_) | CosignerError::Taken(_) => Exit::Usage,
        CosignerError::Key { .. } | CosignerError::NoLogs(_) => Exit::Config,
        _ => Exit::Failed,
    };
    Failure::caused(code, error)
}
