//! The caller of an access: what its request tells about it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::client_address::ClientAddress;

/// The caller of an access, as events keep it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Request id of the access.
    pub request_id: String,
    /// Client address; `unknown` where a trusted proxy did not tell it.
    pub client_ip: String,
    /// `User-Agent` header, or empty.
    pub user_agent: String,
    /// `Referer` header, or empty.
    pub referer: String,
    /// `Range` header, or empty.
    pub range: String,
}

/// A [`Caller`] borrowed from a request; an owned one is made only where an event is written.
#[derive(Debug, Clone, Copy)]
pub struct CallerRef<'a> {
    /// Request id of the access.
    pub request_id: &'a str,
    /// Client address.
    pub client_ip: ClientAddress,
    /// `User-Agent` header, or empty.
    pub user_agent: &'a str,
    /// `Referer` header, or empty.
    pub referer: &'a str,
    /// `Range` header, or empty.
    pub range: &'a str,
}

impl From<CallerRef<'_>> for Caller {
    fn from(caller: CallerRef<'_>) -> Self {
        Self {
            request_id: caller.request_id.to_owned(),
            client_ip: caller.client_ip.to_string(),
            user_agent: truncate_client_text(caller.user_agent).to_owned(),
            referer: truncate_client_text(caller.referer).to_owned(),
            range: truncate_client_text(caller.range).to_owned(),
        }
    }
}

/// Bytes that an event keeps of each text a client sends: a queue may hold a million events.
const MAX_CLIENT_TEXT_BYTES: usize = 1_024;

/// Cuts a text from a client down to 1 KiB, at a character boundary.
pub fn truncate_client_text(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_CLIENT_TEXT_BYTES))
        .unwrap_or(text)
}

/// Identifies a client for `hit_window`: [`CLIENT_KEY_ADDRESS_BYTES`] bytes of a digest of its
/// address, then a digest of address and user agent.
pub type ClientKey = [u8; 16];

/// Leading bytes of a [`ClientKey`] that depend on the address alone.
pub const CLIENT_KEY_ADDRESS_BYTES: usize = 8;

impl CallerRef<'_> {
    /// The client's key, from its address (of IPv6 the /64, which is what one customer has) and its
    /// user agent. An unknown address gets a random key, so that its hit window is never shared; all
    /// unknown clients count as one address.
    pub fn client_key(&self) -> ClientKey {
        let Some(ip) = self.client_ip.ip() else {
            let mut key = Uuid::new_v4().into_bytes();
            key[..CLIENT_KEY_ADDRESS_BYTES].fill(0);
            return key;
        };
        let network: [u8; 8] = match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [0, 0, 0, 4, a, b, c, d]
            }
            IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 64)
                .unwrap_or_default()
                .to_be_bytes(),
        };
        let address = Sha256::new().chain_update(network);
        let client = address.clone().chain_update(self.user_agent);
        let mut key = ClientKey::default();
        let (of_address, of_agent) = key.split_at_mut(CLIENT_KEY_ADDRESS_BYTES);
        of_address.copy_from_slice(&address.finalize()[..CLIENT_KEY_ADDRESS_BYTES]);
        let rest = of_agent.len();
        of_agent.copy_from_slice(&client.finalize()[..rest]);
        key
    }
}
