//! Subject cards: key, status, consents and version of each person, cached.
