//! Reads privet.toml into checked settings, reporting every fault with its place.
