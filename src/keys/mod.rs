//! Key hierarchy: root file, domain epoch, subject keys, derived log and pseudonym keys.
