//! Admin listener: operators, health, readiness, metrics.
