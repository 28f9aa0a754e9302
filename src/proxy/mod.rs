//! One call from socket to socket: route, decide, fetch, transform, record, release.
