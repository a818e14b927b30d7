//! Throttle of `HEAD` events: one a minute for each client and token.
//!
//! A `HEAD` uses no hit, so that nothing else keeps a client from filling the queue with its events.

use std::collections::HashMap;
use std::time::Duration;

use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::token_store::{StoredToken, TokenId};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Time between two events of one client and token.
const EVENT_INTERVAL: Duration = Duration::from_secs(60);
/// Pairs of client and token that are remembered; others within the interval have no event.
const MAX_REMEMBERED: usize = 16_384;
/// Shortest time between two searches for pairs to forget.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// When the last `HEAD` event of each client and token was queued.
#[derive(Debug, Default)]
pub struct HeadEventThrottle(Mutex<LastEvents>);

#[derive(Debug, Default)]
struct LastEvents {
    last: HashMap<(TokenId, ClientAddress), Instant>,
    swept: Option<Instant>,
}

impl HeadEventThrottle {
    /// Whether a `HEAD` has an event: the token has hits left, and the client's last event is a minute ago.
    /// `true` counts as this event.
    pub fn admit(&self, token: &StoredToken, client: ClientAddress) -> bool {
        let max_hits = token.record.max_hits;
        if max_hits.is_some_and(|max| token.used_hits >= max) {
            return false;
        }
        let now = Instant::now();
        let is_over = |last: &Instant| now.duration_since(*last) >= EVENT_INTERVAL;
        let one = (token.id, client.network());
        let mut events = self.0.lock();
        if let Some(last) = events.last.get_mut(&one) {
            let due = is_over(last);
            if due {
                *last = now;
            }
            return due;
        }
        if events.last.len() >= MAX_REMEMBERED {
            let swept = events.swept.replace(now);
            if swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP_INTERVAL) {
                events.last.retain(|_, last| !is_over(last));
            } else {
                events.swept = swept;
            }
            if events.last.len() >= MAX_REMEMBERED {
                return false;
            }
        }
        events.last.insert(one, now);
        true
    }

    /// Takes back an event that could not be queued: the client's next `HEAD` is admitted.
    pub fn undo(&self, token: TokenId, client: ClientAddress) {
        self.0.lock().last.remove(&(token, client.network()));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use asset_gateway_backends::token_store::{Method, TokenRecord};

    use super::*;

    fn token(id: u8, max_hits: Option<u64>, used_hits: u64) -> StoredToken {
        let mut record = TokenRecord::new("b", "k", Method::Get, 0, 100);
        record.max_hits = max_hits;
        StoredToken {
            id: TokenId([id; 16]),
            incarnation: 1,
            record,
            used_hits,
            uploaded_at: None,
        }
    }

    fn client(number: u32) -> ClientAddress {
        IpAddr::V4(Ipv4Addr::from(number)).into()
    }

    #[tokio::test(start_paused = true)]
    async fn one_event_a_minute_for_each_client_and_token_with_hits_left() {
        let throttle = HeadEventThrottle::default();
        let first = token(1, Some(2), 1);
        assert!(throttle.admit(&first, client(1)) && !throttle.admit(&first, client(1)));
        assert!(throttle.admit(&first, client(2)));
        assert!(throttle.admit(&first, ClientAddress::Unknown));
        assert!(throttle.admit(&token(2, None, 9), client(1)));
        assert!(!throttle.admit(&token(3, Some(2), 2), client(1)));
        tokio::time::advance(EVENT_INTERVAL).await;
        assert!(throttle.admit(&first, client(1)) && !throttle.admit(&first, client(1)));
        throttle.undo(first.id, client(1));
        assert!(throttle.admit(&first, client(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn remembered_pairs_are_bounded_and_expire() {
        let throttle = HeadEventThrottle::default();
        let token = token(1, None, 0);
        let numbers = 0..u32::try_from(MAX_REMEMBERED).unwrap();
        assert!(
            numbers
                .into_iter()
                .all(|number| throttle.admit(&token, client(number)))
        );
        assert!(!throttle.admit(&token, client(u32::MAX)));
        tokio::time::advance(EVENT_INTERVAL).await;
        assert!(throttle.admit(&token, client(u32::MAX)));
        assert_eq!(throttle.0.lock().last.len(), 1);
    }
}
