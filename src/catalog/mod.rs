//! Data sets, their fields and routes: what is governed and where it stands.
