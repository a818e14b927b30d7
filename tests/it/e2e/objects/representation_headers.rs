//! Representation headers of uploads, and what downloads answer with them.

use serde_json::json;

use crate::support::api::answer;
use crate::support::gateway::Gateway;

#[tokio::test]
async fn content_encoding_and_language_of_an_upload_are_stored() {
    let gateway = Gateway::with(json!({"buckets": {
        "local": {"provider": "memory"},
    }}));
    let folder = Gateway::start();
    for gateway in [&gateway, &folder] {
        for (sent, kept) in [
            (("gzip", "de"), (Some("gzip"), Some("de"))),
            (
                ("gzip , br", "de, en-GB"),
                (Some("gzip, br"), Some("de, en-GB")),
            ),
            (("", ""), (None, None)),
            (("identity", "x-pirate"), (None, Some("x-pirate"))),
        ] {
            let token = gateway.token("PUT", "k.css").await;
            let put = gateway
                .object("PUT", &token)
                .header("content-type", "text/css")
                .header("content-encoding", sent.0)
                .header("content-language", sent.1)
                .body("\u{1f}bytes");
            let put = answer(put).await;
            assert_eq!(put.status, 200, "{put:?}");
            let token = gateway.token("GET", "k.css").await;
            let part = gateway.object("GET", &token).header("range", "bytes=0-2");
            for got in [
                gateway.get(&token).await,
                gateway.head(&token).await,
                answer(part).await,
            ] {
                assert!(matches!(got.status, 200 | 206));
                assert_eq!(got.header("content-encoding"), kept.0, "{sent:?}");
                assert_eq!(got.header("content-language"), kept.1, "{sent:?}");
                assert_eq!(got.header("content-type"), Some("text/css"));
            }
        }
    }
    // The next object under that key has none.
    let token = folder.token("PUT", "k.css").await;
    folder.put(&token, "bytes").await;
    let token = folder.token("GET", "k.css").await;
    let got = folder.get(&token).await;
    assert_eq!(got.header("content-encoding"), None);
    assert_eq!(got.header("content-language"), None);
}

#[tokio::test]
async fn unsupported_representation_headers_are_refused_and_nothing_is_stored() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    for (name, value, status, code, says) in [
        (
            "content-encoding",
            "gzip br",
            415,
            "unsupported_media_type",
            "Content-Encoding",
        ),
        (
            "content-encoding",
            "\"gzip\"",
            415,
            "unsupported_media_type",
            "Content-Encoding",
        ),
        (
            "content-language",
            "de_DE",
            400,
            "bad_request",
            "Content-Language",
        ),
        (
            "content-language",
            "<b>",
            400,
            "bad_request",
            "Content-Language",
        ),
    ] {
        let request = gateway.object("PUT", &token).header(name, value).body("x");
        let refused = answer(request).await;
        assert_eq!(refused.status, status, "{name}: {value}");
        refused.assert_error(status, code).says(says);
    }
    let long = ["gzip"; 100].join(",");
    let request = gateway
        .object("PUT", &token)
        .header("content-encoding", long);
    answer(request.body("x"))
        .await
        .assert_error(415, "unsupported_media_type");
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.used_hits(&token).await, 0);
    assert_eq!(gateway.put(&token, "x").await.status, 200);
}

#[tokio::test]
async fn aws_chunked_framing_is_not_stored() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    for lines in [
        &[("content-encoding", "aws-chunked")][..],
        &[("content-encoding", "gzip, AWS-Chunked")],
        &[("x-amz-content-sha256", signed)],
        &[("x-amz-content-sha256", unsigned)],
        &[("x-amz-decoded-content-length", "5")],
    ] {
        let request = lines
            .iter()
            .fold(gateway.object("PUT", &token), |request, (name, value)| {
                request.header(*name, *value)
            });
        let framed = "5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n";
        let refused = answer(request.body(framed)).await;
        assert_eq!(refused.status, 415, "{lines:?}");
        refused
            .assert_error(415, "unsupported_media_type")
            .says("aws-chunked");
    }
    assert_eq!(gateway.files(), [""; 0]);
    // An S3 client that sends unframed bytes.
    let plain = gateway
        .object("PUT", &token)
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(answer(plain.body("hello")).await.status, 200);
    assert_eq!(
        std::fs::read(gateway.objects().join("k")).unwrap(),
        b"hello"
    );
}

#[tokio::test]
async fn a_multipart_form_is_refused_with_advice() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    for content_type in [
        "multipart/form-data; boundary=b",
        "Multipart/Form-Data;boundary=b",
    ] {
        let form = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n";
        let request = gateway
            .object("PUT", &token)
            .header("content-type", content_type);
        answer(request.body(form))
            .await
            .assert_error(415, "unsupported_media_type")
            .says("the file itself");
    }
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.used_hits(&token).await, 0);
}
