//! Sockets: accepting with limits, TLS with certificate reload, draining, and connecting out.

mod accept;
mod connect;
mod drain;
mod error;
mod fetch;
mod files;
mod inherited;
mod metrics;
mod places;
mod server_tls;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use self::accept::{Bound, Listener, ListenerSetup, Pending};
pub use self::connect::{ClientIdentity, ClientTls, Target, connect};
pub use self::drain::{Drain, Open};
pub use self::error::NetError;
pub use self::fetch::{Fetch, Form, Question, ask, https_get, is_this_machine, post, post_form};
pub use self::files::{check_folder, read_bounded, read_secret};
pub use self::inherited::{Inherited, addresses};
pub use self::metrics::NetMetrics;
pub use self::places::Places;
pub use self::server_tls::{NextTls, ServerTls, TlsConfig};
pub use self::stream::{Alpn, Connection, Cut, Slot, Stream, TlsFacts};
