//! What the process gives up at its start: core dumps, and being traced by its own user; and what
//! it takes: as many descriptors as it may have.

use rustix::process::DumpableBehavior;
use rustix::process::Resource;
use rustix::process::Rlimit;

/// Keys live in this process's memory, so that memory is never written to a core file. A system
/// that refuses is reported; the gateway runs on, because nothing leaves by it.
pub(super) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process could not be made undumpable");
    }
}

/// How many descriptors this process may have open, if it asks for as many as it may.
pub(super) fn most_descriptors() -> u64 {
    rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Asks for as many descriptors as the process may have, and gives how many it got.
pub(super) fn raise_descriptors() -> u64 {
    let before = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => before.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit on open files could not be raised");
            before.current.unwrap_or(u64::MAX)
        }
    }
}
