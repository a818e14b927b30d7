//! `Content-Encoding` of a stored object, as its readers need it.

/// How an S3 client frames a signed body on its way to S3: no coding of the object. Some storage
/// keeps it all the same.
pub const AWS_CHUNKED: &str = "aws-chunked";

/// `stored` without [`AWS_CHUNKED`]; the other codings stay, in their order. `None` where none is
/// left.
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
    fn only_the_framing_goes() {
        for (stored, kept) in [
            ("aws-chunked", None),
            ("AWS-Chunked", None),
            ("aws-chunked,", None),
            ("gzip,aws-chunked", Some("gzip")),
            ("aws-chunked, gzip, br", Some("gzip, br")),
            ("gzip", Some("gzip")),
            ("x-aws-chunked", Some("x-aws-chunked")),
            ("", None),
        ] {
            assert_eq!(for_readers(stored).as_deref(), kept, "{stored}");
        }
    }
}
