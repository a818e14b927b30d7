//! Uploads: which responses acknowledge them.

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::PutOptions;

use super::super::{Settings, of_length};
use super::{open, put, refused};
use crate::support::scripted_storage::{Request, answer, page, raw};

const MIB: usize = 1 << 20;

pub async fn an_upload_without_a_tag_is_not_acknowledged(settings: Settings) {
    let html = "Content-Type: text/html";
    let answers = [
        page("200 OK"),
        answer("200 OK", &[], ""),
        answer("200 OK", &["ETag:"], ""),
        answer("200 OK", &["ETag: \"\""], ""),
        answer("200 OK", &["ETag: \"a\tb\""], ""),
        answer("200 OK", &["ETag: \"a\"", "ETag: \"b\""], ""),
        answer("201 Created", &[], ""),
        raw("204 No Content", &[], ""),
        answer("202 Accepted", &[], ""),
        // The tag of a page is not the tag of an object.
        answer("200 OK", &[html, "ETag: \"page\""], "<p>Busy"),
    ];
    for bytes in answers {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        for length in [0, 5] {
            let bytes = bytes.clone();
            let (backend, storage) = open(settings, move |_| bytes.clone()).await;
            for options in [of_length(length), PutOptions::default()] {
                let stored = put(&backend, options, length).await;
                refused(stored, ErrorKind::NoAnswer, &response);
            }
            let writes = storage.take_requests();
            let writes = writes.iter().filter(|request| request.method == "PUT");
            assert_eq!(writes.count(), 2, "{response}: not repeated");
        }
    }
}

pub async fn any_success_with_a_tag_is_acknowledged(settings: Settings) {
    for (status, line, etag) in [
        ("200 OK", "ETag: \"abc\"", "abc"),
        ("200 OK", "ETag: abc", "abc"),
        ("200 OK", "ETag: W/\"abc\"", "W/\"abc\""),
        ("201 Created", "ETag: \"abc\"", "abc"),
        ("204 No Content", "ETag: \"abc\"", "abc"),
    ] {
        let (backend, storage) = open(settings, move |_| match status {
            "204 No Content" => raw(status, &[line], ""),
            _ => answer(status, &[line], ""),
        })
        .await;
        let stored = put(&backend, of_length(5), 5).await.unwrap();
        assert_eq!(
            (stored.etag.as_str(), stored.size),
            (etag, 5),
            "{status} {line}"
        );
        assert_eq!(storage.take_requests().len(), 1);
    }
}

/// An upload asks for none of these answers.
pub async fn an_upload_is_never_not_found_or_not_modified(settings: Settings) {
    let no_bucket = "<Error><Code>NoSuchBucket</Code></Error>";
    let no_key = "<Error><Code>NoSuchKey</Code></Error>";
    for bytes in [
        page("404 Not Found"),
        answer("404 Not Found", &[], ""),
        answer("404 Not Found", &[], no_bucket),
        answer("404 Not Found", &[], no_key),
        raw("304 Not Modified", &[], ""),
        answer("412 Precondition Failed", &[], ""),
        answer(
            "416 Range Not Satisfiable",
            &["Content-Range: bytes */7"],
            "",
        ),
    ] {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        let (backend, _storage) = open(settings, move |_| bytes.clone()).await;
        refused(
            put(&backend, of_length(5), 5).await,
            ErrorKind::Upstream,
            response,
        );
    }
    let (backend, _storage) = open(settings, |_| answer("412 Precondition Failed", &[], "")).await;
    let exclusive = PutOptions {
        must_not_exist: true,
        ..of_length(5)
    };
    let taken = put(&backend, exclusive, 5).await;
    refused(taken, ErrorKind::PreconditionFailed, "request for");
}

const BEGUN: &str =
    "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>&quot;abc-3&quot;</ETag></CompleteMultipartUploadResult>";

fn in_parts(request: &Request) -> Vec<u8> {
    if request.begins_parts() {
        answer("200 OK", &["Content-Type: application/xml"], BEGUN)
    } else if request.is_part() {
        answer("200 OK", &["ETag: \"part\""], "")
    } else if request.completes_parts() {
        answer("200 OK", &["Content-Type: application/xml"], COMPLETED)
    } else {
        raw("204 No Content", &[], "")
    }
}

/// As [`in_parts`], but answers the requests of one `step` with `bytes`.
fn in_parts_but(
    step: fn(&Request) -> bool,
    bytes: Vec<u8>,
) -> impl FnMut(&Request) -> Vec<u8> + Send + 'static {
    move |request| match step(request) {
        true => bytes.clone(),
        false => in_parts(request),
    }
}

pub async fn a_multipart_upload_is_acknowledged_by_its_tag(settings: Settings) {
    let (backend, _storage) = open(settings, in_parts).await;
    let stored = put(&backend, PutOptions::default(), 18 * MIB)
        .await
        .unwrap();
    assert_eq!((stored.etag.as_str(), stored.size), ("abc-3", 18 << 20));
}

pub async fn no_part_is_sent_without_an_upload_id(settings: Settings) {
    let xhtml = "<html><head/><body>Busy</body></html>";
    for bytes in [
        page("200 OK"),
        answer("200 OK", &[], xhtml),
        answer("200 OK", &[], ""),
        answer(
            "200 OK",
            &["Content-Type: application/xml"],
            "<InitiateMultipartUploadResult/>",
        ),
        page("404 Not Found"),
    ] {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        let (backend, storage) = open(settings, in_parts_but(Request::begins_parts, bytes)).await;
        let error = put(&backend, PutOptions::default(), 18 * MIB)
            .await
            .unwrap_err();
        let kinds = [ErrorKind::Upstream, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind), "{response}: {error}");
        let requests = storage.take_requests();
        let writes = requests.iter().filter(|request| request.method == "PUT");
        assert_eq!(
            writes.count(),
            0,
            "{response}: without an upload id a part would be an object"
        );
    }
}

pub async fn a_part_without_a_tag_fails_the_upload(settings: Settings) {
    for bytes in [
        page("200 OK"),
        answer("200 OK", &[], ""),
        answer("200 OK", &["ETag: \"\""], ""),
    ] {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        let (backend, storage) = open(settings, in_parts_but(Request::is_part, bytes)).await;
        let stored = put(&backend, PutOptions::default(), 26 * MIB).await;
        let error = stored.unwrap_err();
        let kinds = [ErrorKind::Upstream, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind), "{response}: {error}");
        let requests = storage.take_requests();
        assert!(!requests.iter().any(Request::completes_parts), "{response}");
    }
}

pub async fn an_unacknowledged_completion_has_no_answer(settings: Settings) {
    let xhtml = "<html><head/><body>Busy</body></html>";
    let empty = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
    for bytes in [
        page("200 OK"),
        answer("200 OK", &[], xhtml),
        answer("200 OK", &[], ""),
        answer("200 OK", &["Content-Type: application/xml"], empty),
    ] {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        let (backend, storage) =
            open(settings, in_parts_but(Request::completes_parts, bytes)).await;
        let stored = put(&backend, PutOptions::default(), 18 * MIB).await;
        refused(stored, ErrorKind::NoAnswer, &response);
        let requests = storage.take_requests();
        let completions = requests.iter().filter(|request| request.completes_parts());
        assert_eq!(completions.count(), 1, "{response}: not repeated");
    }
    // Storage's own error: the upload or its parts are gone.
    for bytes in [
        answer(
            "404 Not Found",
            &[],
            "<Error><Code>NoSuchUpload</Code></Error>",
        ),
        answer(
            "404 Not Found",
            &[],
            "<Error><Code>NoSuchKey</Code></Error>",
        ),
        answer("200 OK", &[], "<Error><Code>InvalidPart</Code></Error>"),
        page("404 Not Found"),
    ] {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        let (backend, _storage) =
            open(settings, in_parts_but(Request::completes_parts, bytes)).await;
        let stored = put(&backend, PutOptions::default(), 18 * MIB).await;
        refused(stored, ErrorKind::Upstream, response);
    }
}

/// A header that a client library cannot parse does not fail an acknowledged upload.
pub async fn unreadable_headers_do_not_undo_an_acknowledgement(settings: Settings) {
    let odd: [&[u8]; 5] = [
        b"x-amz-version-id: \xff",
        b"x-amz-object-size: many",
        b"x-amz-server-side-encryption-bucket-key-enabled: perhaps",
        b"Content-MD5: \xff",
        b"X-Odd: \xff",
    ];
    let odd = odd.join(&b"\r\n"[..]);
    let mut small = b"HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nContent-Length: 0\r\n".to_vec();
    small.extend_from_slice(&odd);
    small.extend_from_slice(b"\r\n\r\n");
    let (backend, _storage) = open(settings, move |_| small.clone()).await;
    let stored = put(&backend, of_length(5), 5).await.unwrap();
    assert_eq!(stored.etag, "abc");
    let mut completed = b"HTTP/1.1 200 OK\r\n".to_vec();
    completed.extend_from_slice(&odd);
    let rest = format!("\r\nContent-Length: {}\r\n\r\n{COMPLETED}", COMPLETED.len());
    completed.extend_from_slice(rest.as_bytes());
    let (backend, _storage) =
        open(settings, in_parts_but(Request::completes_parts, completed)).await;
    let stored = put(&backend, PutOptions::default(), 18 * MIB)
        .await
        .unwrap();
    assert_eq!(stored.etag, "abc-3");
}
