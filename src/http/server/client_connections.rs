//! Connection limit for each client.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use asset_gateway_backends::client_address::ClientAddress;
use parking_lot::Mutex;

/// Counts each client's connections over all listeners of a [`super::Server`]. Clones share the count.
/// A client without a connection has no entry.
#[derive(Debug, Clone)]
pub(super) struct ClientConnections {
    limit: usize,
    /// By [`ClientAddress::network`].
    open: Arc<Mutex<HashMap<ClientAddress, usize>>>,
}

/// One counted connection of a client, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    client: ClientAddress,
    open: Arc<Mutex<HashMap<ClientAddress, usize>>>,
}

impl ClientConnections {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            open: Arc::default(),
        }
    }

    /// `None`: the client has reached its limit.
    pub(super) fn admit(&self, client: ClientAddress) -> Option<ConnectionPermit> {
        let client = client.network();
        let mut all = self.open.lock();
        let open = all.entry(client).or_insert(0);
        if *open >= self.limit {
            // The limit is at least one, so the entry is not a new one.
            return None;
        }
        *open += 1;
        drop(all);
        Some(ConnectionPermit {
            client,
            open: Arc::clone(&self.open),
        })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Entry::Occupied(mut open) = self.open.lock().entry(self.client) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn each_client_has_its_limit_and_leaves_no_entry() {
        let connections = ClientConnections::new(2);
        let client = |ip: &str| connections.admit(ip.parse::<IpAddr>().unwrap().into());
        let one = (client("192.0.2.1"), client("192.0.2.1"));
        assert!(one.0.is_some() && one.1.is_some() && client("192.0.2.1").is_none());
        // One /64 is one client.
        let six = (client("2001:db8::1"), client("2001:db8::2"));
        assert!(six.1.is_some() && client("2001:db8::3").is_none());
        drop(one.0);
        assert!(client("192.0.2.1").is_some());
        drop((one.1, six));
        assert!(connections.open.lock().is_empty());
    }
}
