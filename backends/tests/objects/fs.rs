//! Buckets in a folder: the conformance suite, links, temporary files, sidecars, rights.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use asset_gateway_backends::conformance::object_backend::Subject;
use asset_gateway_backends::error::{ErrorKind, Result};
use asset_gateway_backends::object_backend::fs::FsBackend;
use asset_gateway_backends::object_backend::{
    GetOptions, GetResult, ObjectBackend, PutOptions, Stored,
};
use asset_gateway_backends::object_backend_suite;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tempfile::TempDir;

fn bucket() -> (FsBackend, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (FsBackend::open(folder.path().to_owned()).unwrap(), folder)
}

fn subject() -> (Subject, TempDir) {
    let (backend, folder) = bucket();
    (Subject::new(Arc::new(backend)), folder)
}

fn subject_without_attributes() -> (Subject, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let backend = FsBackend::open_without_attributes(folder.path().to_owned()).unwrap();
    (Subject::new(Arc::new(backend)), folder)
}

object_backend_suite!(conformance, subject());
object_backend_suite!(conformance_with_sidecars, subject_without_attributes());

async fn put(backend: &FsBackend, key: &str, bytes: &[u8]) -> Result<Stored> {
    put_typed(backend, key, bytes, None).await
}

async fn put_typed(
    backend: &FsBackend,
    key: &str,
    bytes: &[u8],
    content_type: Option<&str>,
) -> Result<Stored> {
    let options = PutOptions {
        content_type: content_type.map(str::to_owned),
        ..PutOptions::default()
    };
    let mut upload = backend.put(key, options).await?;
    upload.write(Bytes::copy_from_slice(bytes)).await?;
    upload.finish().await
}

async fn get(backend: &FsBackend, key: &str) -> Result<GetResult> {
    backend.get(key, &GetOptions::default()).await
}

async fn content_type(backend: &FsBackend, key: &str) -> Option<String> {
    get(backend, key).await.unwrap().meta.content_type
}

async fn read(found: GetResult) -> Vec<u8> {
    let chunks: Vec<Bytes> = found.body.try_collect().await.unwrap();
    chunks.concat()
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

fn files_below(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn temps(root: &TempDir) -> usize {
    files_below(&root.path().join(".asset-gateway/tmp"))
}

#[tokio::test]
async fn nothing_outside_the_root_is_reached() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    let (backend, folder) = bucket();
    let root = folder.path();
    symlink(outside.path().join("secret"), root.join("file-link")).unwrap();
    symlink(outside.path(), root.join("folder-link")).unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    symlink(format!("../{name}"), root.join("relative-link")).unwrap();

    for key in ["file-link", "folder-link/secret", "relative-link/secret"] {
        assert_eq!(
            kind(get(&backend, key).await),
            Some(ErrorKind::NotFound),
            "{key}"
        );
    }
    for key in ["folder-link/new", "relative-link/new"] {
        assert_eq!(
            kind(put(&backend, key, b"x").await),
            Some(ErrorKind::InvalidKey),
            "{key}"
        );
    }
    for key in ["folder-link/secret", "relative-link/secret"] {
        backend.delete(key).await.unwrap();
    }
    assert_eq!(files_below(outside.path()), 1, "only the secret is there");

    for key in [
        "../secret",
        "a/../../secret",
        "..",
        "./a",
        "/etc/passwd",
        "a/..",
        "",
        "a//b",
        "a/",
        ".asset-gateway/tmp/x",
        ".Asset-Gateway/tmp/x",
        ".asset-gateway./tmp/x",
        ".asset-gateway /tmp/x",
        ".a\u{17f}\u{17f}et-gateway/tmp/x",
        ".asset\u{200d}-gateway/tmp/x",
        "asset-~1/tmp/x",
        "a\0b",
    ] {
        assert_eq!(
            kind(get(&backend, key).await),
            Some(ErrorKind::InvalidKey),
            "{key:?}"
        );
        assert_eq!(
            kind(put(&backend, key, b"x").await),
            Some(ErrorKind::InvalidKey),
            "{key:?}"
        );
        assert_eq!(
            kind(backend.delete(key).await),
            Some(ErrorKind::InvalidKey),
            "{key:?}"
        );
    }
    assert_eq!(temps(&folder), 0);
}

#[tokio::test]
async fn links_inside_the_root_are_followed() {
    let (backend, folder) = bucket();
    put(&backend, "real/object", b"bytes").await.unwrap();
    symlink("real", folder.path().join("relative")).unwrap();
    symlink(folder.path().join("real"), folder.path().join("absolute")).unwrap();
    for key in ["relative/object", "absolute/object"] {
        assert_eq!(read(get(&backend, key).await.unwrap()).await, b"bytes");
    }
    put(&backend, "relative/second", b"more").await.unwrap();
    assert_eq!(
        read(get(&backend, "real/second").await.unwrap()).await,
        b"more"
    );
}

#[tokio::test]
async fn only_regular_files_are_objects() {
    let (backend, folder) = bucket();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    symlink("circle", folder.path().join("circle")).unwrap();
    for key in ["folder", "socket", "pipe", "circle"] {
        assert_eq!(
            kind(get(&backend, key).await),
            Some(ErrorKind::NotFound),
            "{key}"
        );
    }
    assert_eq!(
        kind(put(&backend, "folder", b"x").await),
        Some(ErrorKind::InvalidKey)
    );
    put(&backend, "file", b"x").await.unwrap();
    assert_eq!(
        kind(put(&backend, "file/below", b"x").await),
        Some(ErrorKind::InvalidKey)
    );
    let long = "n".repeat(256);
    assert_eq!(
        kind(put(&backend, &long, b"x").await),
        Some(ErrorKind::InvalidKey)
    );
    let deep = "d/".repeat(3000) + "x";
    assert_eq!(
        kind(get(&backend, &deep).await),
        Some(ErrorKind::InvalidKey)
    );
    assert_eq!(
        kind(put(&backend, &deep, b"x").await),
        Some(ErrorKind::InvalidKey)
    );
    assert_eq!(temps(&folder), 0);
}

#[tokio::test]
async fn a_sweep_spares_uploads_in_progress() {
    let (backend, folder) = bucket();
    let mut alive = backend.put("alive", PutOptions::default()).await.unwrap();
    alive.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    let dead = folder.path().join(".asset-gateway/tmp/4711-dead-0.part");
    std::fs::write(&dead, "left behind").unwrap();
    assert_eq!(temps(&folder), 2);

    // Another process on the same root.
    let neighbour = FsBackend::open(folder.path().to_owned()).unwrap();
    neighbour.sweep().await.unwrap();
    assert!(!dead.exists());
    assert_eq!(temps(&folder), 1);
    let stored = alive.finish().await.unwrap();
    assert_eq!(stored.size, 300_000);
    assert_eq!(temps(&folder), 0);
}

#[tokio::test]
async fn a_sweep_removes_the_files_of_a_killed_process() {
    let (backend, folder) = bucket();
    let mut upload = backend
        .put("interrupted", PutOptions::default())
        .await
        .unwrap();
    upload.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    // As a SIGKILL leaves it: the name stays, the lock is gone with the process.
    let temp = std::fs::read_dir(folder.path().join(".asset-gateway/tmp"))
        .unwrap()
        .next();
    let temp = temp.unwrap().unwrap().path();
    let saved = folder.path().join("saved");
    std::fs::hard_link(&temp, &saved).unwrap();
    drop(upload);
    std::fs::rename(&saved, &temp).unwrap();
    backend.sweep().await.unwrap();
    assert_eq!(temps(&folder), 0);
}

#[tokio::test]
async fn dropped_and_aborted_uploads_leave_no_file() {
    let (backend, folder) = bucket();
    for chunks in [0, 1, 10] {
        for abort in [false, true] {
            let mut upload = backend.put("a/b/c", PutOptions::default()).await.unwrap();
            for _ in 0..chunks {
                upload.write(Bytes::from(vec![1; 100_000])).await.unwrap();
            }
            assert_eq!(temps(&folder), 1);
            if abort {
                upload.abort().await.unwrap();
            } else {
                drop(upload);
            }
            assert_eq!(temps(&folder), 0);
        }
    }
    assert!(
        !folder.path().join("a").exists(),
        "folders are made by finish"
    );
}

#[tokio::test]
async fn content_types_are_stored_or_guessed() {
    let (backend, folder) = bucket();
    put_typed(&backend, "a.txt", b"x", Some("image/webp"))
        .await
        .unwrap();
    assert_eq!(
        content_type(&backend, "a.txt").await.as_deref(),
        Some("image/webp")
    );
    std::fs::write(folder.path().join("c.unheard-of"), "x").unwrap();
    assert_eq!(content_type(&backend, "c.unheard-of").await, None);
    std::fs::write(folder.path().join("d.png"), "put there by hand").unwrap();
    assert_eq!(
        content_type(&backend, "d.png").await.as_deref(),
        Some("image/png")
    );
}

#[tokio::test]
async fn a_sidecar_belongs_to_one_state_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FsBackend::open_without_attributes(folder.path().to_owned()).unwrap();
    let types = folder.path().join(".asset-gateway/types");
    let typed = |key: &'static str| put_typed(&backend, key, b"x", Some("image/webp"));

    typed("a.txt").await.unwrap();
    assert_eq!(
        content_type(&backend, "a.txt").await.as_deref(),
        Some("image/webp")
    );
    assert_eq!(files_below(&types), 1);
    // Another program renames the file: its identity stays.
    std::fs::rename(folder.path().join("a.txt"), folder.path().join("b.txt")).unwrap();
    assert_eq!(
        content_type(&backend, "b.txt").await.as_deref(),
        Some("image/webp")
    );
    // Another program writes to the file: its identity changes.
    std::fs::write(folder.path().join("b.txt"), "changed").unwrap();
    assert_eq!(
        content_type(&backend, "b.txt").await.as_deref(),
        Some("text/plain")
    );

    typed("b.txt").await.unwrap();
    assert_eq!(
        files_below(&types),
        1,
        "the sidecar of the overwritten file is gone"
    );
    backend.delete("b.txt").await.unwrap();
    assert_eq!(files_below(&types), 0);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Other programs may serve the objects, but not read the gateway's own files.
#[tokio::test]
async fn only_the_gateways_own_folders_are_made_private() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("bucket");
    let open = || FsBackend::open_without_attributes(root.clone()).unwrap();
    put_typed(&open(), "a/b", b"x", Some("image/webp"))
        .await
        .unwrap();
    let own = root.join(".asset-gateway");
    let sidecar = std::fs::read_dir(own.join("types")).unwrap().next();
    let sidecar = sidecar.unwrap().unwrap().path();
    let private = [
        (own.clone(), 0o700),
        (own.join("tmp"), 0o700),
        (own.join("types"), 0o700),
    ];
    let private = private.into_iter().chain([(sidecar, 0o600)]);
    let private: Vec<_> = private.collect();
    let shared = ["", "a", "a/b"].map(|name| root.join(name));
    for (path, expected) in &private {
        assert_eq!(mode(path), *expected, "{}", path.display());
    }
    // As an earlier version or a careless restore leaves them.
    for (path, expected) in &private {
        set_mode(path, expected | 0o055);
    }
    for (path, mode) in shared.iter().zip([0o775, 0o755, 0o664]) {
        set_mode(path, mode);
    }
    let backend = open();
    for (path, expected) in &private {
        assert_eq!(mode(path), *expected, "{}", path.display());
    }
    assert_eq!(
        shared.each_ref().map(|path| mode(path)),
        [0o775, 0o755, 0o664]
    );
    assert_eq!(
        content_type(&backend, "a/b").await.as_deref(),
        Some("image/webp")
    );
}

#[tokio::test]
async fn the_entity_tag_changes_with_the_file() {
    let (backend, folder) = bucket();
    let first = put(&backend, "a", b"one").await.unwrap();
    let second = put(&backend, "a", b"two").await.unwrap();
    assert_ne!(first.etag, second.etag);
    std::fs::write(folder.path().join("a"), "three").unwrap();
    let third = get(&backend, "a").await.unwrap().meta.etag.unwrap();
    assert_ne!(second.etag, third);
}

#[tokio::test]
async fn a_file_that_shrinks_breaks_the_body() {
    let (backend, folder) = bucket();
    put(&backend, "a", &vec![1; 1_000_000]).await.unwrap();
    let found = get(&backend, "a").await.unwrap();
    std::fs::write(folder.path().join("a"), "short").unwrap();
    let chunks: Result<Vec<Bytes>> = found.body.try_collect().await;
    assert_eq!(kind(chunks), Some(ErrorKind::Upstream));
}

#[tokio::test]
async fn a_root_that_was_made_again_is_found() {
    let (backend, folder) = bucket();
    put(&backend, "a", b"x").await.unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(kind(get(&backend, "a").await), Some(ErrorKind::NotFound));
    assert!(backend.ping().await.is_err());
    std::fs::create_dir(folder.path()).unwrap();
    put(&backend, "a", b"y").await.unwrap();
    assert_eq!(read(get(&backend, "a").await.unwrap()).await, b"y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_at_once() {
    let (backend, _folder) = bucket();
    let bytes: Vec<u8> = (0..300_000_u32).map(|place| (place % 251) as u8).collect();
    put(&backend, "popular", &bytes).await.unwrap();
    let backend = Arc::new(backend);
    let readers = (0..1000).map(|_| {
        let backend = Arc::clone(&backend);
        tokio::spawn(async move { read(get(&backend, "popular").await.unwrap()).await })
    });
    for found in join_all(readers).await {
        assert!(found.unwrap() == bytes);
    }
}
