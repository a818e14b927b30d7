//! Storage whose answers contradict themselves or the request, through each adapter.

use serde_json::json;

use crate::support::api::{answer as ask, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::raw;
use crate::support::scripted_storage::raw as said;
use crate::support::scripted_storage::{Reply, Request, ScriptedStorage, answer, page};

const TAG: &str = "ETag: \"abc\"";

const ADAPTERS: &[&str] = match cfg!(feature = "aws") {
    true => &["opendal", "aws"],
    false => &["opendal"],
};

async fn over<R: Into<Reply>>(
    adapter: &str,
    script: impl FnMut(&Request) -> R + Send + 'static,
) -> (Gateway, ScriptedStorage) {
    let storage = ScriptedStorage::start(script).await;
    let gateway = Gateway::with(json!({
        "credentials": {"c": {"access_key": "a", "secret_key": "never-shown"}},
        "buckets": {"local": {
            "provider": "s3", "bucket": "b", "region": "r", "credential": "c", "backend": adapter,
            "endpoint": storage.endpoint, "force_path_style": true}},
    }));
    (gateway, storage)
}

#[tokio::test]
async fn bytes_of_another_range_are_not_delivered() {
    for adapter in ADAPTERS {
        let (gateway, _storage) = over(adapter, |_| {
            let line = "Content-Range: bytes 4096-5009/300000";
            answer("206 Partial Content", &[TAG, line], vec![b'x'; 914])
        })
        .await;
        let token = gateway.token("GET", "k").max_hits(1).await;
        for _ in 0..2 {
            let request = gateway
                .object("GET", &token)
                .header("range", "bytes=5000-5009");
            let refused = ask(request).await;
            refused.assert_error(502, "upstream_error");
        }
        assert_eq!(gateway.used_hits(&token).await, 0);
        let line = "another range was answered";
        until(line, async || gateway.log().contains(line)).await;
    }
}

#[tokio::test]
async fn a_complete_object_in_place_of_a_range_is_200() {
    for adapter in ADAPTERS {
        let (gateway, storage) = over(adapter, |_| answer("200 OK", &[TAG], "0123456789")).await;
        let token = gateway.token("GET", "k").await;
        for range in ["bytes=5-6", "bytes=5-", "bytes=-3"] {
            let found = ask(gateway.object("GET", &token).header("range", range)).await;
            assert_eq!((found.status, &found.body[..]), (200, &b"0123456789"[..]));
            assert_eq!(found.header("content-range"), None);
            assert_eq!(found.header("content-length"), Some("10"));
            assert_eq!(storage.take_requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn an_unreadable_optional_header_is_left_out() {
    for adapter in ADAPTERS {
        for (date, expected) in [
            (
                "Tuesday, 01-Sep-26 10:00:00 GMT",
                Some("Tue, 01 Sep 2026 10:00:00 GMT"),
            ),
            ("the day before yesterday", None),
        ] {
            let (gateway, _storage) = over(adapter, move |asked| {
                let body = if asked.method == "HEAD" { "" } else { "hello" };
                let date = format!("Last-Modified: {date}");
                let lines = [TAG, &date, "Cache-Control: \u{e9}", "Content-Length: 5"];
                said("200 OK", &lines, body)
            })
            .await;
            let token = gateway.token("GET", "k").await;
            let found = gateway.get(&token).await;
            assert_eq!((found.status, &found.body[..]), (200, &b"hello"[..]));
            for found in [found, gateway.head(&token).await] {
                assert_eq!(found.header("last-modified"), expected, "{adapter}");
                assert_eq!(found.header("etag"), Some("\"abc\""));
                assert_eq!(found.header("cache-control"), Some("private"));
                assert_eq!(found.header("content-length"), Some("5"));
            }
        }
    }
}

fn chunked(asked: &Request) -> Vec<u8> {
    let body = match asked.method.as_str() {
        "HEAD" => "",
        _ => "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    };
    said("200 OK", &[TAG, "Transfer-Encoding: chunked"], body)
}

#[tokio::test]
async fn a_chunked_body_is_passed_on_in_chunks() {
    for adapter in ADAPTERS {
        let (gateway, _storage) = over(adapter, chunked).await;
        for hit_on in ["start", "complete"] {
            let receiver = CallbackReceiver::start().await;
            let fields = json!({"max_hits": 1, "hit_on": hit_on, "callback": receiver.url()});
            let token = gateway.token("GET", "k").with(fields).await;
            let head = gateway.head(&token).await;
            assert_eq!((head.status, head.header("content-length")), (200, None));
            let found = gateway.get(&token).await;
            assert_eq!((found.status, &found.body[..]), (200, &b"hello world"[..]));
            assert_eq!(found.header("transfer-encoding"), Some("chunked"));
            assert_eq!(found.header("content-length"), None);
            let events = receiver.events(2).await;
            let of = |method: &str| events.iter().find(|event| event["method"] == method);
            let (head, get) = (of("HEAD").unwrap(), of("GET").unwrap());
            assert_eq!(head["size"], 0, "{head}");
            assert_eq!(
                (&get["outcome"], &get["size"]),
                (&json!("complete"), &json!(11))
            );
            until("the hit is counted", async || {
                gateway.used_hits(&token).await == 1
            })
            .await;
            gateway.get(&token).await.assert_error(409, "hits_exceeded");
        }
        let status = {
            let token = gateway.token("GET", "k").await;
            gateway.status(&token).await
        };
        assert_eq!(status["object_exists"], true);
        assert_eq!(status["object_size"], json!(null));
    }
}

/// Without a length there is no byte budget: the first byte uses the hit.
#[tokio::test]
async fn a_broken_chunked_body_is_not_completed() {
    for adapter in ADAPTERS {
        let (gateway, _storage) = over(adapter, |_| {
            let chunks = "5\r\nhello\r\n";
            said("200 OK", &[TAG, "Transfer-Encoding: chunked"], chunks)
        })
        .await;
        let fields = json!({"max_hits": 1, "hit_on": "complete"});
        let token = gateway.token("GET", "k").with(fields).await;
        let request =
            format!("GET /object/{token} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
        let found = raw::exchange(gateway.port, request).await;
        assert_eq!(found.status, 200);
        let body = String::from_utf8_lossy(&found.body).into_owned();
        assert!(!body.contains("\r\n0\r\n"), "{body:?} has an end");
        until("the hit is used", async || {
            gateway.used_hits(&token).await == 1
        })
        .await;
        gateway.get(&token).await.assert_error(409, "hits_exceeded");
    }
}

#[tokio::test]
async fn a_proxys_page_does_not_acknowledge_an_upload() {
    for adapter in ADAPTERS {
        let (gateway, _storage) = over(adapter, |asked| match asked.method.as_str() {
            "PUT" => page("200 OK"),
            _ => answer("404 Not Found", &[], ""),
        })
        .await;
        let token = gateway.token("PUT", "k").await;
        let refused = gateway.put(&token, "hello").await;
        refused.assert_error(502, "upstream_error");
        let line = "does not acknowledge the request";
        until(line, async || gateway.log().contains(line)).await;
        // Storage may have the object: no other upload is admitted before that is known.
        gateway
            .put(&token, "hello")
            .await
            .assert_error(409, "hits_exceeded");
        let status = gateway.status(&token).await;
        assert_eq!(
            (&status["uploaded"], &status["used_hits"]),
            (&json!(false), &json!(0))
        );
    }
}

/// The HEAD after an upload that a page answered, and whether the upload counts as stored.
#[tokio::test]
async fn an_upload_answered_by_a_proxys_page_is_looked_up() {
    for adapter in ADAPTERS {
        for (lines, size, is_ours, believed) in [
            (&[TAG][..], 5, true, true),
            (&[TAG], 5, false, false),
            (&[TAG], 6, true, false),
            (&[], 5, true, false),
        ] {
            let mut marker = String::new();
            let (gateway, _storage) = over(adapter, move |asked| match asked.method.as_str() {
                "PUT" => {
                    marker = asked.header("x-amz-meta-ag-upload").unwrap().to_owned();
                    page("200 OK")
                }
                _ => {
                    let marker = if is_ours { &marker } else { "another" };
                    let marker = format!("x-amz-meta-ag-upload: {marker}");
                    let length = format!("Content-Length: {size}");
                    let mut all = lines.to_vec();
                    all.extend([marker.as_str(), length.as_str()]);
                    said("200 OK", &all, "")
                }
            })
            .await;
            let token = gateway.token("PUT", "k").await;
            let put = gateway.put(&token, "hello").await;
            match believed {
                true => {
                    assert_eq!(put.status, 200, "{put:?}");
                    assert_eq!(put.json(), json!({"etag": "abc", "size": 5}));
                    assert_eq!(gateway.used_hits(&token).await, 1);
                }
                false => {
                    put.assert_error(502, "upstream_error");
                    assert_eq!(gateway.used_hits(&token).await, 0);
                }
            }
        }
    }
}

#[tokio::test]
async fn faults_of_storage_are_not_reported_as_the_clients() {
    let begun =
        "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
    for adapter in ADAPTERS {
        for bytes in [
            page("200 OK"),
            page("404 Not Found"),
            answer(
                "404 Not Found",
                &[],
                "<Error><Code>NoSuchUpload</Code></Error>",
            ),
        ] {
            let (gateway, _storage) = over(adapter, move |asked| {
                if asked.begins_parts() {
                    answer("200 OK", &["Content-Type: application/xml"], begun)
                } else if asked.is_part() {
                    answer("200 OK", &["ETag: \"part\""], "")
                } else if asked.completes_parts() {
                    bytes.clone()
                } else if asked.method == "HEAD" {
                    answer("404 Not Found", &[], "")
                } else {
                    said("204 No Content", &[], "")
                }
            })
            .await;
            let token = gateway.token("PUT", "k").await;
            let pieces = (0..18).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 1 << 20]));
            let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
            let refused = gateway.put(&token, body).await;
            refused.assert_error(502, "upstream_error");
            let line = "\"level\":\"ERROR\"";
            until(line, async || gateway.log().contains(line)).await;
        }
    }
}

#[tokio::test]
async fn a_proxys_404_does_not_mean_that_an_object_is_missing() {
    for adapter in ADAPTERS {
        let (gateway, _storage) = over(adapter, |asked| match asked.method.as_str() {
            "HEAD" => {
                let lines = ["Content-Type: text/html", "Content-Length: 45"];
                said("404 Not Found", &lines, "")
            }
            _ => page("404 Not Found"),
        })
        .await;
        let get = gateway.token("GET", "k").max_hits(1).await;
        let put = gateway.token("PUT", "k").await;
        gateway.get(&get).await.assert_error(502, "upstream_error");
        assert_eq!(gateway.head(&get).await.status, 502);
        gateway
            .put(&put, "hello")
            .await
            .assert_error(502, "upstream_error");
        let status = ask(gateway.control("GET", &format!("/token/{get}/status"))).await;
        status.assert_error(502, "upstream_error");
        assert_eq!(gateway.used_hits(&get).await, 0);
    }
}

#[tokio::test]
async fn busy_storage_is_503_with_retry_after() {
    for adapter in ADAPTERS {
        for (status, line, expected) in [
            ("503 Slow Down", "X-Nothing: 1", "1"),
            ("429 Too Many Requests", "Retry-After: 7", "7"),
        ] {
            let (gateway, storage) = over(adapter, move |asked| {
                let error = "<Error><Code>SlowDown</Code></Error>";
                match asked.method.as_str() {
                    "HEAD" if asked.target.contains("new") => answer("404 Not Found", &[], ""),
                    "HEAD" => said(status, &[line, "Content-Length: 0"], ""),
                    _ => answer(status, &[line], error),
                }
            })
            .await;
            let get = gateway.token("GET", "k").max_hits(1).await;
            let put = gateway.token("PUT", "new").await;
            storage.take_requests();
            for refused in [gateway.get(&get).await, gateway.put(&put, "hello").await] {
                refused.assert_error(503, "unavailable");
                assert_eq!(refused.header("retry-after"), Some(expected), "{adapter}");
            }
            assert_eq!(gateway.head(&get).await.status, 503);
            // The hits are free.
            gateway.get(&get).await.assert_error(503, "unavailable");
            gateway
                .put(&put, "hello")
                .await
                .assert_error(503, "unavailable");
        }
    }
}

#[tokio::test]
async fn a_download_without_a_first_answer_is_retried() {
    for adapter in ADAPTERS {
        let mut count = 0;
        let (gateway, storage) = over(adapter, move |_| {
            count += 1;
            match count {
                1 => answer("503 Slow Down", &[], "<Error><Code>SlowDown</Code></Error>"),
                2 => Vec::new(),
                _ => answer("200 OK", &[TAG], "hello"),
            }
        })
        .await;
        let token = gateway.token("GET", "k").max_hits(1).await;
        let found = gateway.get(&token).await;
        assert_eq!((found.status, &found.body[..]), (200, &b"hello"[..]));
        assert_eq!(storage.take_requests().len(), 3);
        assert_eq!(gateway.used_hits(&token).await, 1);
    }
}
