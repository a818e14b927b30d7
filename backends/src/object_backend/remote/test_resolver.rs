//! Host names of vendors that lead to a test's own listener; not part of a gateway's build.

use std::cell::Cell;
use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

thread_local! {
    static ADDRESS: Cell<Option<SocketAddr>> = const { Cell::new(None) };
}

/// Runs `open`. HTTP clients that are built meanwhile on this thread resolve every host name to
/// `address`; a port in a URL stays.
pub fn with_names_resolved_to<T>(address: SocketAddr, open: impl FnOnce() -> T) -> T {
    let before = ADDRESS.replace(Some(address));
    let opened = open();
    ADDRESS.set(before);
    opened
}

pub fn apply(builder: ClientBuilder) -> ClientBuilder {
    match ADDRESS.get() {
        Some(address) => builder.dns_resolver(Arc::new(Fixed(address))),
        None => builder,
    }
}

struct Fixed(SocketAddr);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(iter::once(self.0));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}
