//! A folder with a configuration, the program in it, a store in front of which it stands, and a
//! client that reads raw bytes.

mod client;
mod gateway;
mod json_server;
mod store;

pub(crate) use self::client::{Answer, get, get_with, send};
pub(crate) use self::gateway::{Gateway, Site, privet, said};
pub(crate) use self::json_server::JsonServer;
pub(crate) use self::store::Store;
