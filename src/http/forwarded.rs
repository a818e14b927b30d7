//! Client address behind trusted proxies: `X-Forwarded-For` and `Forwarded` (RFC 7239), read as bytes.
//!
//! Each proxy appends the address of its peer. So both headers are read from the right, hop by hop, all
//! lines as one list, up to the first hop that is no trusted proxy; the client itself may have written
//! everything left of that hop. A hop that cannot be read (`unknown`, `_hidden`, an empty element, bytes
//! that are no address) gives [`ClientAddress::Unknown`].
//!
//! A client can send the header that its proxy does not write, and the request does not tell which of the
//! two that is. So both are read: where they agree the address is right because one of them is, and where
//! they disagree the client is unknown.

mod element;

use std::net::IpAddr;

use asset_gateway_backends::client_address::ClientAddress;
use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use element::{forwarded_for, node, quoted_elements_from_right};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request that came from `source` with these `headers`.
pub fn client_of_request(
    source: ClientAddress,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> ClientAddress {
    // The common case without a proxy reads no header.
    if !is_trusted(source, trusted) {
        return source;
    }
    let lines = |name: &HeaderName| headers.get_all(name).iter().map(|line| line.as_bytes());
    client(
        source,
        lines(&X_FORWARDED_FOR),
        lines(&header::FORWARDED),
        trusted,
    )
}

/// The client of a request from `source`: `source` itself unless it is a trusted proxy, else the address in
/// the lines of the two headers, each in the order of the request.
pub fn client<'a>(
    source: ClientAddress,
    x_forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[IpNet],
) -> ClientAddress {
    if !is_trusted(source, trusted) {
        return source;
    }
    let by_x_forwarded_for = x_forwarded_for
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(node);
    let by_forwarded = forwarded
        .rev()
        .flat_map(quoted_elements_from_right)
        .map(|element| forwarded_for(element).and_then(|value| node(&value)));
    match (
        first_untrusted(by_x_forwarded_for, trusted),
        first_untrusted(by_forwarded, trusted),
    ) {
        (None, None) => source,
        (Some(client), None) | (None, Some(client)) => client,
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) => ClientAddress::Unknown,
    }
}

/// The first of `hops` that is no trusted proxy, or the last hop if all are. `None`: there are no hops.
fn first_untrusted(
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: &[IpNet],
) -> Option<ClientAddress> {
    let mut client = None;
    for hop in hops {
        let hop = hop.map_or(ClientAddress::Unknown, ClientAddress::from);
        client = Some(hop);
        if !is_trusted(hop, trusted) {
            break;
        }
    }
    client
}

/// Unknown addresses are never trusted.
pub fn is_trusted(client: ClientAddress, trusted: &[IpNet]) -> bool {
    client
        .ip()
        .is_some_and(|ip| trusted.iter().any(|network| network.contains(&ip)))
}

#[cfg(test)]
mod tests;
