//! Requests that cannot have reached storage.

use std::error::Error as StdError;

/// The connection was never made. Else storage may do what it was asked, whatever we heard of it.
pub fn is_unsent(error: &(dyn StdError + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(one) = error {
        if let Some(error) = one.downcast_ref::<reqwest::Error>() {
            return error.is_connect();
        }
        error = one.source();
    }
    false
}
