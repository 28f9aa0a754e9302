//! What the process gives up at its start: core dumps, and being traced by its own user.

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
