//! Tamper-evident log of every decision: append, durable receipt, verify, search.
