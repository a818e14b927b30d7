//! A token as its holder knows it, and the digest that is all the store sees of it.

use std::fmt;

use asset_gateway_backends::settings::Secret;
use asset_gateway_backends::token_store::TokenId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Bytes of randomness in a token that the gateway makes: 168 bits, 28 characters.
const RANDOM_BYTES: usize = 21;
const MAX_LENGTH: usize = 128;

/// A well-formed token. It cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// `[A-Za-z0-9._~-]{1,128}`, but not `.` or `..`, which a client would resolve away.
    pub fn parse(token: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        let well_formed = (1..=MAX_LENGTH).contains(&token.len())
            && token.bytes().all(allowed)
            && token != "."
            && token != "..";
        well_formed.then(|| Self(token.to_owned()))
    }

    /// A new random token.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token itself; for the answer to whoever asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What fingerprints are made of, besides what they are for.
const FINGERPRINT: &str = "asset-gateway pepper fingerprint ";

/// Makes token ids: the first 128 bits of SHA-256, or of HMAC-SHA-256 with a pepper.
#[derive(Clone, Default)]
pub struct Digester {
    keyed: Option<Hmac<Sha256>>,
}

impl Digester {
    /// An empty pepper is none.
    pub fn new(pepper: &Secret) -> Self {
        let key = pepper.expose().as_bytes();
        Self {
            // HMAC takes keys of any length: the error cannot happen.
            keyed: (!key.is_empty())
                .then(|| Hmac::new_from_slice(key).ok())
                .flatten(),
        }
    }

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

    /// Tells whether another digester has the same pepper; empty without one. 32 bits: enough for
    /// mistakes, and less than any link tells whoever guesses peppers. `of` makes it another one each
    /// time.
    pub fn fingerprint(&self, of: &str) -> String {
        match &self.keyed {
            None => String::new(),
            Some(keyed) => {
                let keyed = keyed.clone().chain_update(FINGERPRINT).chain_update(of);
                hex::encode(&keyed.finalize().into_bytes()[..4])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_urls_take() {
        for good in ["a", "A-z_0.9~", &"x".repeat(128), "...", ".a"] {
            assert!(TokenSecret::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", "a\0", &"x".repeat(129)] {
            assert!(TokenSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn makes_28_characters_that_differ() {
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
    fn id_is_the_beginning_of_the_digest() {
        // SHA-256("abc"), FIPS 180-2 appendix B.1.
        let token = TokenSecret::parse("abc").unwrap();
        let id = Digester::default().id(&token);
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        let peppered = Digester::new(&Secret::new("pepper")).id(&token);
        assert_ne!(id, peppered);
    }

    #[test]
    fn a_fingerprint_tells_peppers_apart_and_nothing_of_archives() {
        let of = |pepper: &str, of| Digester::new(&Secret::new(pepper)).fingerprint(of);
        assert_eq!(of("", "a"), "");
        assert_eq!(of("pepper", "a"), of("pepper", "a"));
        assert_eq!(of("pepper", "a").len(), 8);
        assert_ne!(of("pepper", "a"), of("other", "a"));
        assert_ne!(of("pepper", "a"), of("pepper", "b"));
    }
}
