//! Accepts connections: sockets, TLS with reload, limits, drain, HTTP client.
