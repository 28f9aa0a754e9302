//! Tests of recognising callers.
