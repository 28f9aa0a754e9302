//! Builds everything from the configuration: start, reload, drain, stop.
