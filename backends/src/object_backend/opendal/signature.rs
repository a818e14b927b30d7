//! Signs requests that OpenDAL leaves unsigned: those of OSS, for which it knows V1 only.

use std::time::SystemTime;

use http::{HeaderValue, Request};
use opendal::{Error, ErrorKind, Result};

use crate::signing::oss_v4::{Signer, ToSign};

/// The request with the headers of the signature. Each attempt is signed anew: a signature has a time.
pub fn sign<B>(signer: &Signer, mut request: Request<B>) -> Result<Request<B>> {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let to_sign = ToSign {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: headers.collect(),
    };
    for (name, value) in signer.sign(to_sign, SystemTime::now()) {
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            let text = "the credential has characters that no header can carry";
            Error::new(ErrorKind::ConfigInvalid, text)
        })?;
        value.set_sensitive(matches!(name, "authorization" | "x-oss-security-token"));
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}
