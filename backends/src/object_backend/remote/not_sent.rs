//! Failed requests that cannot have reached storage, and so changed nothing.

use std::error::Error as StdError;

/// The connection was never made. After any other failure storage may still carry out the request.
pub fn is_not_sent(error: &(dyn StdError + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(one) = error {
        if let Some(error) = one.downcast_ref::<reqwest::Error>() {
            return error.is_connect();
        }
        error = one.source();
    }
    false
}
