//! The `webhook-signature` header of Standard Webhooks 1.0.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http::HeaderValue;
use sha2::Sha256;

use crate::config::WebhookSecret;

/// Signs with every secret, so that receivers can switch secrets at any time.
pub(super) struct Signer {
    /// Keyed once, cloned for each signature.
    keyed: Vec<Hmac<Sha256>>,
}

impl Signer {
    pub(super) fn new(secrets: &[WebhookSecret]) -> Self {
        let keyed = secrets.iter().filter_map(|secret| {
            // HMAC takes keys of any length: the error cannot happen.
            Hmac::new_from_slice(&secret.key()).ok()
        });
        Self {
            keyed: keyed.collect(),
        }
    }

    /// Signs a message with each secret, in their order; `None` without a secret.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<HeaderValue> {
        let signatures = self.keyed.iter().map(|keyed| {
            let signed = keyed
                .clone()
                .chain_update(format!("{id}.{timestamp}."))
                .chain_update(body);
            format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
        });
        let signatures: Vec<String> = signatures.collect();
        HeaderValue::try_from(signatures.join(" "))
            .ok()
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::try_from(text.to_owned()).unwrap()
    }

    /// The test vector of the specification's own libraries.
    #[test]
    fn signs_as_the_specification_does() {
        let signer = Signer::new(&[secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
        let signed = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signed.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn all_secrets_sign_in_their_order() {
        let secrets = [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        ]
        .map(|key| secret(&format!("whsec_{key}")));
        let sign = |secrets: &[WebhookSecret]| Signer::new(secrets).sign("evt_1", 1, b"{}");
        let [first, second] = [0, 1].map(|n| sign(&secrets[n..=n]).unwrap());
        let both = sign(&secrets).unwrap();
        let expected = [first.as_bytes(), second.as_bytes()].join(&b' ');
        assert_eq!(both.as_bytes(), expected);
        assert_eq!(sign(&[]), None);
    }
}
