//! Starts the command line.

use std::process::ExitCode;

/// A call makes and drops some hundred small values; this costs less of a core than the system's
/// allocator, and gives back what is not used.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    privet::cli::run()
}
