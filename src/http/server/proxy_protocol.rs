//! Reads the PROXY protocol header (versions 1 and 2): the client's address, sent ahead by a proxy.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, SocketAddr};

use asset_gateway_backends::client_address::ClientAddress;
use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Length of a version 1 line with its CRLF (§2.1).
const V1_MAX_BYTES: usize = 107;
/// The signature of version 2 (§2.2). Every version 1 line is at least as long.
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version, command, family and length.
const V2_FIXED_BYTES: usize = 16;
/// With addresses and the TLS data of load balancers.
const V2_MAX_BYTES: usize = V2_FIXED_BYTES + 4096;

/// Why a connection has no valid header.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// For example a check whether the port is open.
    #[error("the connection was closed before its first byte")]
    Closed,
    #[error("the header is not one of version 1 or 2")]
    Malformed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header, and no byte after it. The result is `peer` where the proxy says that the connection
/// is its own (a health check), and [`ClientAddress::Unknown`] where the header has no IP address.
pub(super) async fn read_source(
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Result<ClientAddress, HeaderError> {
    let mut header = vec![0; V2_SIGNATURE.len()];
    let first = stream.read(&mut header).await?;
    if first == 0 {
        return Err(HeaderError::Closed);
    }
    stream.read_exact(&mut header[first..]).await?;
    if header == V2_SIGNATURE {
        read_v2(stream, header, peer).await
    } else if header.starts_with(b"PROXY ") {
        read_v1(stream, header).await
    } else {
        Err(HeaderError::Malformed)
    }
}

async fn read_v1(stream: &mut TcpStream, mut line: Vec<u8>) -> Result<ClientAddress, HeaderError> {
    while line.last() != Some(&b'\n') {
        // Bytes after the line belong to the request: they are peeked at, not read.
        let mut ahead = [0; V1_MAX_BYTES];
        let left = V1_MAX_BYTES - line.len();
        if left == 0 {
            return Err(HeaderError::Malformed);
        }
        let seen = stream.peek(&mut ahead[..left]).await?;
        if seen == 0 {
            return Err(HeaderError::Malformed);
        }
        let end = ahead[..seen].iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(seen, |end| end + 1);
        stream.read_exact(&mut ahead[..taken]).await?;
        line.extend_from_slice(&ahead[..taken]);
    }
    let header = v1::Header::try_from(line.as_slice()).map_err(|_| HeaderError::Malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(addresses) => IpAddr::V4(addresses.source_address).into(),
        v1::Addresses::Tcp6(addresses) => IpAddr::V6(addresses.source_address).into(),
        v1::Addresses::Unknown => ClientAddress::Unknown,
    })
}

async fn read_v2(
    stream: &mut TcpStream,
    mut header: Vec<u8>,
    peer: SocketAddr,
) -> Result<ClientAddress, HeaderError> {
    header.resize(V2_FIXED_BYTES, 0);
    stream.read_exact(&mut header[V2_SIGNATURE.len()..]).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if V2_FIXED_BYTES + length > V2_MAX_BYTES {
        return Err(HeaderError::Malformed);
    }
    header.resize(V2_FIXED_BYTES + length, 0);
    stream.read_exact(&mut header[V2_FIXED_BYTES..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| HeaderError::Malformed)?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Local, _) => peer.ip().into(),
        (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => {
            IpAddr::V4(addresses.source_address).into()
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => {
            IpAddr::V6(addresses.source_address).into()
        }
        (v2::Command::Proxy, v2::Addresses::Unix(_) | v2::Addresses::Unspecified) => {
            ClientAddress::Unknown
        }
    })
}
