//! A token as its holder knows it, and the digest under which the store keeps it.

use std::fmt;

use asset_gateway_backends::settings::Secret;
use asset_gateway_backends::token_store::TokenId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Random bytes of a generated token: 168 bits, 28 characters.
const RANDOM_BYTES: usize = 21;
const MAX_TOKEN_BYTES: usize = 128;

/// A well-formed token, which `Debug` does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// Takes `[A-Za-z0-9._~-]{1,128}`, but not `.` or `..`, which clients resolve as path segments.
    pub fn parse(token: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        let well_formed = (1..=MAX_TOKEN_BYTES).contains(&token.len())
            && token.bytes().all(allowed)
            && token != "."
            && token != "..";
        well_formed.then(|| Self(token.to_owned()))
    }

    /// Makes a random token.
    ///
    /// # Errors
    /// The system's random source fails.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token itself, for the answer to the client that creates it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Domain separation of fingerprints from token ids.
const FINGERPRINT_PREFIX: &str = "asset-gateway pepper fingerprint ";

/// Makes token ids: the first 128 bits of SHA-256, or of HMAC-SHA-256 with a pepper.
#[derive(Clone, Default)]
pub struct Digester {
    keyed: Option<Hmac<Sha256>>,
}

impl Digester {
    /// Keys the digester with a pepper; an empty one is no pepper.
    pub fn new(pepper: &Secret) -> Self {
        let key = pepper.expose().as_bytes();
        Self {
            // HMAC takes keys of any length: the error cannot happen.
            keyed: (!key.is_empty())
                .then(|| Hmac::new_from_slice(key).ok())
                .flatten(),
        }
    }

    /// The id of a token.
    pub fn id(&self, token: &TokenSecret) -> TokenId {
        let token = token.0.as_bytes();
        let digest = match &self.keyed {
            None => Sha256::digest(token),
            Some(keyed) => keyed.clone().chain_update(token).finalize().into_bytes(),
        };
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        TokenId(id)
    }

    /// A fingerprint of the pepper, to compare digesters; empty without a pepper. 32 bits find mistakes, and
    /// tell less to someone who guesses peppers than any token does. `context` makes fingerprints of one pepper
    /// differ.
    pub fn fingerprint(&self, context: &str) -> String {
        match &self.keyed {
            None => String::new(),
            Some(keyed) => {
                let keyed = keyed
                    .clone()
                    .chain_update(FINGERPRINT_PREFIX)
                    .chain_update(context);
                hex::encode(&keyed.finalize().into_bytes()[..4])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_unreserved_characters_of_urls() {
        for good in ["a", "A-z_0.9~", &"x".repeat(128), "...", ".a"] {
            assert!(TokenSecret::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", "a\0", &"x".repeat(129)] {
            assert!(TokenSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn generated_tokens_have_28_characters_and_differ() {
        let (a, b) = (
            TokenSecret::generate().unwrap(),
            TokenSecret::generate().unwrap(),
        );
        assert_eq!(a.expose().len(), 28);
        assert_ne!(a, b);
        assert!(TokenSecret::parse(a.expose()).is_some());
        assert_eq!(format!("{a:?}"), "[redacted]");
    }

    #[test]
    fn an_id_is_the_beginning_of_the_digest() {
        // SHA-256("abc"), FIPS 180-2 appendix B.1.
        let token = TokenSecret::parse("abc").unwrap();
        let id = Digester::default().id(&token);
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        let peppered = Digester::new(&Secret::new("pepper")).id(&token);
        assert_ne!(id, peppered);
    }

    #[test]
    fn a_fingerprint_differs_by_pepper_and_by_context() {
        let of = |pepper: &str, of| Digester::new(&Secret::new(pepper)).fingerprint(of);
        assert_eq!(of("", "a"), "");
        assert_eq!(of("pepper", "a"), of("pepper", "a"));
        assert_eq!(of("pepper", "a").len(), 8);
        assert_ne!(of("pepper", "a"), of("other", "a"));
        assert_ne!(of("pepper", "a"), of("pepper", "b"));
    }
}
