//! Which `HEAD`s are reported. They use no hit, so nothing else would stop a client from filling the
//! queue with their events.

use std::collections::HashMap;
use std::time::Duration;

use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::token_store::{StoredToken, TokenId};
use parking_lot::Mutex;
use tokio::time::Instant;

/// One event of each client and token in this time.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Clients and tokens that are remembered. Where more come within the time, theirs are not reported.
const MAX_REMEMBERED: usize = 16_384;
/// A full memory is searched for what is over no more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// When the last `HEAD` of each client and token was reported.
#[derive(Debug, Default)]
pub struct HeadEventThrottle(Mutex<Reported>);

#[derive(Debug, Default)]
struct Reported {
    last: HashMap<(TokenId, ClientAddress), Instant>,
    swept: Option<Instant>,
}

impl HeadEventThrottle {
    /// A `HEAD` of `client` on `token` is to be reported: the token has hits left, and the client's last
    /// report is a minute ago. Notes that it is.
    pub fn is_due(&self, token: &StoredToken, client: ClientAddress) -> bool {
        let max_hits = token.record.max_hits;
        if max_hits.is_some_and(|max| token.used_hits >= max) {
            return false;
        }
        let now = Instant::now();
        let is_over = |last: &Instant| now.duration_since(*last) >= REPORT_EVERY;
        let one = (token.id, client.network());
        let mut reported = self.0.lock();
        if let Some(last) = reported.last.get_mut(&one) {
            let due = is_over(last);
            if due {
                *last = now;
            }
            return due;
        }
        if reported.last.len() >= MAX_REMEMBERED {
            let swept = reported.swept.replace(now);
            if swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP_EVERY) {
                reported.last.retain(|_, last| !is_over(last));
            } else {
                reported.swept = swept;
            }
            if reported.last.len() >= MAX_REMEMBERED {
                return false;
            }
        }
        reported.last.insert(one, now);
        true
    }

    /// The report could not be queued: the client's next `HEAD` is reported.
    pub fn forget(&self, token: TokenId, client: ClientAddress) {
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
    async fn one_a_minute_of_each_client_and_token_with_hits_left() {
        let reports = HeadEventThrottle::default();
        let first = token(1, Some(2), 1);
        assert!(reports.is_due(&first, client(1)) && !reports.is_due(&first, client(1)));
        assert!(reports.is_due(&first, client(2)));
        assert!(reports.is_due(&first, ClientAddress::Unknown));
        assert!(reports.is_due(&token(2, None, 9), client(1)));
        assert!(!reports.is_due(&token(3, Some(2), 2), client(1)));
        tokio::time::advance(REPORT_EVERY).await;
        assert!(reports.is_due(&first, client(1)) && !reports.is_due(&first, client(1)));
        reports.forget(first.id, client(1));
        assert!(reports.is_due(&first, client(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_makes_room() {
        let reports = HeadEventThrottle::default();
        let token = token(1, None, 0);
        let numbers = 0..u32::try_from(MAX_REMEMBERED).unwrap();
        assert!(
            numbers
                .into_iter()
                .all(|number| reports.is_due(&token, client(number)))
        );
        assert!(!reports.is_due(&token, client(u32::MAX)));
        tokio::time::advance(REPORT_EVERY).await;
        assert!(reports.is_due(&token, client(u32::MAX)));
        assert_eq!(reports.0.lock().last.len(), 1);
    }
}
