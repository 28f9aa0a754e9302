//! Rewrites records on their way out, as a verdict obliges. No I/O.
