//! Listening sockets that were open before this process, as systemd.socket(5) hands them over.
//! Connections wait in them while the gateway restarts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;

use listenfd::ListenFd;

use super::NetError;

/// Sockets by what they are for. Empty when the gateway binds its own.
#[derive(Default)]
pub struct Inherited {
    gateway: Vec<TcpListener>,
    admin: Vec<TcpListener>,
}

impl Inherited {
    /// Takes the sockets that the environment announces (`LISTEN_FDS`). `names` is what its
    /// `LISTEN_FDNAMES` says.
    ///
    /// To be called before anything else opens a file: the numbers are taken at their word.
    ///
    /// # Errors
    /// When one is no listening TCP socket, or its name says neither `gateway` nor `admin`:
    /// guessing could show answers where only operators should be.
    pub fn take(names: &str) -> Result<Self, NetError> {
        let mut sockets = ListenFd::from_env();
        let mut names = names.split(':');
        let mut found = Self::default();
        for number in 0..sockets.len() {
            let name = names.next().unwrap_or_default();
            let to = match name {
                "gateway" => &mut found.gateway,
                "admin" => &mut found.admin,
                _ => return Err(NetError::SocketName { name: name.into() }),
            };
            let socket = sockets
                .take_tcp_listener(number)
                .and_then(|socket| socket.ok_or_else(|| io::Error::other("it was taken before")));
            to.push(socket.map_err(|source| NetError::Inherited { name: name.into(), source })?);
        }
        Ok(found)
    }

    /// The sockets for callers.
    pub fn gateway(&self) -> &[TcpListener] {
        &self.gateway
    }

    /// The sockets for operators.
    pub fn admin(&self) -> &[TcpListener] {
        &self.admin
    }
}

/// Where sockets listen.
///
/// # Errors
/// When one has no address of the internet.
pub fn addresses(sockets: &[TcpListener]) -> Result<Vec<SocketAddr>, NetError> {
    let of = |socket: &TcpListener| {
        socket.local_addr().map_err(|source| NetError::Inherited { name: "".into(), source })
    };
    sockets.iter().map(of).collect()
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gateway, admin) = (self.gateway.len(), self.admin.len());
        f.debug_struct("Inherited").field("gateway", &gateway).field("admin", &admin).finish()
    }
}
