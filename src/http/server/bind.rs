//! Opens the listening socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

const LISTEN_BACKLOG: i32 = 1024;

/// Unsent bytes above which the kernel does not report a connection as writable (`TCP_NOTSENT_LOWAT`).
/// Without it a socket is writable only when a third of a buffer of megabytes is free: a slow client
/// would look like one that reads nothing, and cost that memory.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOTSENT_LOWAT_BYTES: u32 = 256 * 1024;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("`{listen}` is not an address to listen on: write \":8080\" or \"127.0.0.1:8080\"")]
    Address { listen: String, source: io::Error },
    #[error("cannot listen on `{listen}`: {source}")]
    Listen { listen: String, source: io::Error },
}

/// Listens on `listen`: `":PORT"` is every interface in both families (IPv4 only where the machine
/// has no IPv6), otherwise `ADDRESS:PORT` or `HOST:PORT`. Port 0 takes a free one.
///
/// # Errors
/// The address is malformed, or in use, or not this machine's.
pub async fn bind(listen: &str) -> Result<TcpListener, BindError> {
    let failed = |source| BindError::Listen {
        listen: listen.to_owned(),
        source,
    };
    if let Some(port) = port_of_every_interface(listen) {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return match open(both, Families::Both) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                open(ipv4, Families::One).map_err(failed)
            }
            opened => opened.map_err(failed),
        };
    }
    let addresses = tokio::net::lookup_host(listen)
        .await
        .map_err(|source| BindError::Address {
            listen: listen.to_owned(),
            source,
        })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match open(address, Families::One) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn port_of_every_interface(listen: &str) -> Option<u16> {
    listen.strip_prefix(':')?.parse().ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Families {
    One,
    Both,
}

fn open(address: SocketAddr, families: Families) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if families == Families::Both {
        socket.set_only_v6(false)?;
    }
    // On Windows the option lets a second process take over the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit the option. An old kernel without it serves all the same.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_bare_port_listens_on_both_families() {
        let listener = bind(":0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip().to_canonical(), Ipv4Addr::LOCALHOST);
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn an_address_listens_there_only() {
        let listener = bind("127.0.0.1:0").await.unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let first = bind(":0").await.unwrap();
        let taken = format!(":{}", first.local_addr().unwrap().port());
        let error = bind(&taken).await.unwrap_err();
        assert!(error.to_string().contains(&taken), "{error}");
    }

    #[tokio::test]
    async fn nonsense_is_an_error_that_says_what_to_write() {
        for nonsense in ["", "8080", ":port", ":99999"] {
            let error = bind(nonsense).await.unwrap_err();
            assert!(error.to_string().contains("127.0.0.1:8080"), "{error}");
        }
    }
}
