//! `Content-Encoding` of a stored object, without the framing of S3 clients.

/// The framing of a signed body between an S3 client and S3. It is no coding of the object, but some
/// storage stores it as one.
pub const AWS_CHUNKED: &str = "aws-chunked";

/// `stored` without [`AWS_CHUNKED`]; the other codings stay in order. `None` where none is left.
#[cfg(any(feature = "opendal", feature = "aws"))]
pub fn for_readers(stored: &str) -> Option<String> {
    let codings = stored.split(',').map(str::trim);
    let codings: Vec<&str> = codings
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(AWS_CHUNKED))
        .collect();
    (!codings.is_empty()).then(|| codings.join(", "))
}

#[cfg(all(test, any(feature = "opendal", feature = "aws")))]
mod tests {
    use super::*;

    #[test]
    fn only_the_framing_is_removed() {
        for (stored, expected) in [
            ("aws-chunked", None),
            ("AWS-Chunked", None),
            ("aws-chunked,", None),
            ("gzip,aws-chunked", Some("gzip")),
            ("aws-chunked, gzip, br", Some("gzip, br")),
            ("gzip", Some("gzip")),
            ("x-aws-chunked", Some("x-aws-chunked")),
            ("", None),
        ] {
            assert_eq!(for_readers(stored).as_deref(), expected, "{stored}");
        }
    }
}
