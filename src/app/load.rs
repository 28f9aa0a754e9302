//! Configuration and policies, read and compiled: everything that can be wrong before a start.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::types::Fault;
use crate::types::Faults;
use crate::types::SourceFile;
use crate::types::told;

use super::agreement;
use super::files;
use super::files::ReadError;
use super::outside;
use super::risks;

/// A configuration whose every file compiles.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file they came from.
    pub path: PathBuf,
    /// The policy.
    pub policy: Arc<PolicySet>,
    /// The policy's tests, not run yet.
    pub tests: Vec<PolicyFile>,
    /// What is allowed but worth a look.
    pub warnings: Vec<Fault>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its faults, each with its place.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Loaded {
    /// Reads `privet.toml` at `path` and the policies it names.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        files::guarded(path.parent().unwrap_or(Path::new("")))?;
        let text = files::text(path, files::LONGEST)?;
        let file = Arc::new(SourceFile { name: path.display().to_string(), text });
        let mut faults = Faults::new();
        let config = Config::read(&file, &mut faults);
        // Policies are read even when the settings are wrong, so that one run shows everything.
        let folder = config.as_ref().map_or_else(
            || path.parent().unwrap_or(Path::new("")).join("policies"),
            |config| config.policies.clone(),
        );
        let found = match files::policies(&folder) {
            Ok(found) => found,
            Err(_) if faults.has_errors() => files::PolicyFiles::default(),
            Err(error) => {
                let Some(config) = &config else { return Err(error.into()) };
                faults.error(&config.place(&["policies"]), told(&error), "");
                return Err(LoadError::Faults(faults.into_sorted()));
            }
        };
        for path in &found.passed_over {
            faults.warning_nowhere(
                format!("`{}` is not read", path.display()),
                "policies are called *.yaml",
            );
        }
        let policy = if found.rules.is_empty() && !faults.has_errors() {
            let what = format!("no policy in `{}`", folder.display());
            faults
                .error_nowhere(what, "without a policy nothing is shown; `privet init` writes one");
            None
        } else {
            PolicySet::compile(&found.rules, SystemClock.now(), &mut faults)
        };
        if faults.has_errors() {
            return Err(LoadError::Faults(faults.into_sorted()));
        }
        let (Some(config), Some(policy)) = (config, policy) else {
            return Err(LoadError::Faults(faults.into_sorted()));
        };
        agreement::check(&config, &policy, &mut faults);
        outside::descriptors(&config, &mut faults);
        risks::check(&config, &policy, &mut faults);
        if faults.has_errors() {
            return Err(LoadError::Faults(faults.into_sorted()));
        }
        let path = path.to_owned();
        let policy = Arc::new(policy);
        Ok(Self { config, path, policy, tests: found.tests, warnings: faults.into_sorted() })
    }
}

/// Compiles the policies of a folder, or one file, without a configuration.
pub fn read_policies(path: &Path) -> Result<Arc<PolicySet>, LoadError> {
    let rules = if path.is_file() {
        let name = path.display().to_string();
        vec![PolicyFile { text: files::text(path, files::LONGEST)?, name }]
    } else {
        files::policies(path)?.rules
    };
    let mut faults = Faults::new();
    if rules.is_empty() {
        let what = format!("no policy in `{}`", path.display());
        faults.error_nowhere(what, "policies are called *.yaml");
    }
    let policy = PolicySet::compile(&rules, SystemClock.now(), &mut faults);
    match policy {
        Some(policy) if !faults.has_errors() => Ok(Arc::new(policy)),
        _ => Err(LoadError::Faults(faults.into_sorted())),
    }
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}
