//! Characters no file may hold.
