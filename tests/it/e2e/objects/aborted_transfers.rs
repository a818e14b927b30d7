//! Clients that disconnect during a transfer.

use tokio::io::AsyncWriteExt;

use crate::support::api::until;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn a_cut_off_upload_leaves_no_file_and_frees_its_hit() {
    let gateway = Gateway::start();
    gateway.place("k", "old");
    let token = gateway.token("PUT", "k").await;
    let declared = raw::begin_upload(gateway.port, &token, 1 << 20, &[1; 70_000]).await;
    until("a temporary file", async || gateway.files().len() == 2).await;
    drop(declared);
    until("no temporary file", async || gateway.files() == ["k"]).await;

    let chunked = async |beginning: &[u8]| {
        let mut stream = raw::connect(gateway.port).await;
        let head = format!(
            "PUT /object/{token} HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        stream
    };
    let retried = async || {
        // The hit of the upload before is free a moment after its file is removed.
        until("a temporary file again", async || {
            let stream = chunked(b"5\r\nhello\r\n").await;
            let mut tries = 0;
            while gateway.files().len() < 2 && tries < 20 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                tries += 1;
            }
            drop(stream);
            tries < 20
        })
        .await;
    };
    retried().await;
    until("no temporary file", async || gateway.files() == ["k"]).await;

    assert_eq!(std::fs::read(gateway.objects().join("k")).unwrap(), b"old");
    until("the hit is free", async || {
        gateway.put(&token, "new").await.status == 200
    })
    .await;
    assert_eq!(gateway.used_hits(&token).await, 1);
    assert_eq!(std::fs::read(gateway.objects().join("k")).unwrap(), b"new");
}

#[tokio::test]
async fn an_upload_with_broken_chunks_is_not_stored() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let lines: [&[u8]; 1] = [b"Transfer-Encoding: chunked"];
    let first = format!("PUT /object/{token}");
    let refused = raw::request(gateway.port, &first, &lines, b"5\r\nhello\r\nzz\r\n").await;
    refused.assert_error(400, "bad_request").says("whole");
    until("no temporary file", async || gateway.files().is_empty()).await;
    assert_eq!(gateway.put(&token, "new").await.status, 200);
}

/// A hit is counted at the start of the download.
#[tokio::test]
async fn a_cut_off_download_stays_counted() {
    let gateway = Gateway::start();
    gateway.place("large", "");
    let large = std::fs::File::create(gateway.objects().join("large")).unwrap();
    large.set_len(256 << 20).unwrap();
    let token = gateway.token("GET", "large").max_hits(1).await;
    let stream = raw::begin_download(gateway.port, &token, "").await;
    assert_eq!(gateway.used_hits(&token).await, 1);
    drop(stream);
    let cut = "\"http.route\":\"/object/{token}\",\"http.response.status_code\":200";
    until("the access line", async || gateway.log().contains(cut)).await;
    assert_eq!(gateway.used_hits(&token).await, 1);
    gateway.get(&token).await.assert_error(409, "hits_exceeded");
}
