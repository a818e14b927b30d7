//! The client behind trusted proxies: `X-Forwarded-For` and `Forwarded` (RFC 7239), read as bytes.
//!
//! Each proxy adds the address that it has seen at the right end, so both headers are read from the
//! right, hop by hop, all lines as one list, up to the first hop that is no trusted proxy. What stands
//! left of that hop was written by strangers and is not looked at.
//!
//! A hop that cannot be read (`unknown`, `_hidden`, an empty element, bytes that are no address) is a
//! client whose address nobody knows: [`ClientAddress::Unknown`].
//!
//! A client can send the one of the two headers that its proxy does not write, and nothing in the
//! request tells which one that is. Where both come, both are read: what they agree on is true because
//! one of them is, and where they disagree the client is unknown.

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
    // The common case has no proxy: nothing of the headers is looked at.
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

/// The client of a request that came from `source`: `source` itself unless it is a trusted proxy, else
/// what the lines of the two headers say, each in the order in which they came.
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
        first_stranger(by_x_forwarded_for, trusted),
        first_stranger(by_forwarded, trusted),
    ) {
        (None, None) => source,
        (Some(client), None) | (None, Some(client)) => client,
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) => ClientAddress::Unknown,
    }
}

/// The first of `hops` that is no trusted proxy, or the last one where all are. `None` where there is
/// no hop.
fn first_stranger(
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

/// Nobody is trusted whose address is not known.
pub fn is_trusted(client: ClientAddress, trusted: &[IpNet]) -> bool {
    client
        .ip()
        .is_some_and(|ip| trusted.iter().any(|network| network.contains(&ip)))
}

#[cfg(test)]
mod tests;
