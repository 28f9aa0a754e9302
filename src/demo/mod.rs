//! A small shop of made-up people, and the table that shows each view.
