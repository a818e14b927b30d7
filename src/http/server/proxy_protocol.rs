//! The PROXY protocol, versions 1 and 2: what a proxy says before the first byte of a connection
//! about whose connection it is.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, SocketAddr};

use asset_gateway_backends::client_address::ClientAddress;
use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A line of version 1 with its end (§2.1).
const V1_MAX: usize = 107;
/// The signature of version 2 (§2.2); no line of version 1 is shorter.
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version, command, family and length behind it.
const V2_FIXED: usize = 16;
/// Addresses, and what load balancers add about TLS.
const V2_MAX: usize = V2_FIXED + 4096;

/// Why no header could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// Such as a check of whether the port is open.
    #[error("the connection was closed before its first byte")]
    Nothing,
    #[error("the header is not one of version 1 or 2")]
    Malformed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a header and nothing behind it. Whose connection it is: `peer`'s own where it says so (a
/// health check of the proxy), and nobody's that is known where it gives no address of the internet.
pub(super) async fn read_source(
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Result<ClientAddress, HeaderError> {
    let mut header = vec![0; V2_SIGNATURE.len()];
    let first = stream.read(&mut header).await?;
    if first == 0 {
        return Err(HeaderError::Nothing);
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
        // Bytes behind the line belong to the request: they are looked at, and left there.
        let mut ahead = [0; V1_MAX];
        let left = V1_MAX - line.len();
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
    header.resize(V2_FIXED, 0);
    stream.read_exact(&mut header[V2_SIGNATURE.len()..]).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if V2_FIXED + length > V2_MAX {
        return Err(HeaderError::Malformed);
    }
    header.resize(V2_FIXED + length, 0);
    stream.read_exact(&mut header[V2_FIXED..]).await?;
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
