//! Keys: any character, similar ones, those that a backend refuses.

use bytes::Bytes;

use super::Subject;
use super::tools::*;
use crate::error::ErrorKind;
use crate::object_backend::{GetOptions, PutOptions};

pub async fn keys_may_hold_any_character(subject: &Subject) {
    for name in [
        "plain.txt",
        "with space/and  two.txt",
        "a+b.txt",
        "100%.txt",
        "%2F%20.txt",
        "what?.txt",
        "a#b.txt",
        "a&b=c.txt",
        "semi;colon,comma.txt",
        "(round) [square] {curly}.txt",
        "quote'and\"quote.txt",
        "tilde~star*bang!at@dollar$.txt",
        "back\\slash.txt",
        "grüße/日本語/😀.txt",
        "a/b/c/d/e/f/g.txt",
        ".hidden/.file",
        "...",
    ] {
        let key = subject.key(name);
        let bytes = Bytes::from(name.to_owned());
        put(subject, &key, &bytes).await;
        let head = subject.backend.head(&key, &GetOptions::default()).await;
        assert_eq!(head.expect(name).size, Some(name.len() as u64));
        assert_same(&read(get(subject, &key).await).await, &bytes);
        subject.backend.delete(&key).await.expect(name);
        assert_missing(subject, &key).await;
    }
}

pub async fn similar_keys_name_different_objects(subject: &Subject) {
    let names = ["x y", "x+y", "x%20y", "x%2By", "X y", "x/y", "x%2Fy", "x?y"];
    for name in names {
        let key = subject.key(name);
        put(subject, &key, &Bytes::from(name)).await;
    }
    for name in names {
        let found = read(get(subject, &subject.key(name)).await).await;
        assert_eq!(found, name.as_bytes());
    }
}

/// Keys that some backends cannot hold.
fn doubtful_keys() -> Vec<String> {
    let of_bytes = |bytes: usize| {
        let mut key = format!("{}/", "n".repeat(199)).repeat(bytes / 200 + 1);
        key.truncate(bytes - 1);
        key + "n"
    };
    let mut keys: Vec<String> = [850, 851, 1023, 1024, 1025].map(of_bytes).into();
    keys.extend(["n".repeat(255), "n".repeat(256), "\u{fc}".repeat(128)]);
    let named = [
        "",
        "x//y",
        "trail/",
        "trail//",
        "/front",
        " blank in front",
        "blank behind ",
        "blank /inside",
        "\u{3000}wide",
        "\\backslash",
        ".",
        "..",
        "a/./b",
        "a/../b",
        "a/..",
    ];
    keys.extend(named.map(str::to_owned));
    keys
}

pub async fn every_call_agrees_with_check_key(subject: &Subject) {
    let bytes = Bytes::from_static(b"doubtful");
    for name in doubtful_keys() {
        let inside = subject.key(&name);
        for key in [name, inside] {
            let head = subject.backend.head(&key, &GetOptions::default()).await;
            let got = get_with(subject, &key, GetOptions::default()).await;
            if let Err(refused) = subject.backend.check_key(&key) {
                assert_eq!(refused.kind, ErrorKind::InvalidKey, "{key:?}");
                assert!(refused.reason().is_some_and(|reason| !reason.is_empty()));
                assert_eq!(kind(head), Some(ErrorKind::InvalidKey), "head {key:?}");
                assert_eq!(kind(got), Some(ErrorKind::InvalidKey), "get {key:?}");
                let put = subject.backend.put(&key, PutOptions::default()).await;
                assert_eq!(kind(put), Some(ErrorKind::InvalidKey), "put {key:?}");
                continue;
            }
            assert_ne!(kind(head), Some(ErrorKind::InvalidKey), "head {key:?}");
            assert_ne!(kind(got), Some(ErrorKind::InvalidKey), "get {key:?}");
            if subject.gaps.keys_are_paths {
                continue;
            }
            put(subject, &key, &bytes).await;
            assert_same(&read(get(subject, &key).await).await, &bytes);
            subject.backend.delete(&key).await.expect("deleted");
        }
    }
}

pub async fn deleting_is_idempotent(subject: &Subject) {
    let key = subject.key("folder/deleted");
    subject.backend.delete(&key).await.expect("nothing to do");
    put(subject, &key, &pattern(100, 50)).await;
    subject.backend.delete(&key).await.expect("deleted");
    assert_missing(subject, &key).await;
    subject.backend.delete(&key).await.expect("nothing to do");
}

pub async fn a_missing_object_is_not_found(subject: &Subject) {
    assert_missing(subject, &subject.key("missing")).await;
    assert_missing(subject, &subject.key("missing/below")).await;
    let key = subject.key("there");
    put(subject, &key, &pattern(100, 51)).await;
    // A key below an object, and the folder of an object.
    assert_missing(subject, &format!("{key}/below")).await;
    put(subject, &subject.key("folder/there"), &pattern(100, 52)).await;
    if subject.gaps.breaks_on_folders {
        return;
    }
    assert_missing(subject, &subject.key("folder")).await;
    let slash = subject.key("folder/");
    let head = subject.backend.head(&slash, &GetOptions::default()).await;
    let is_missing = match head {
        // Storage that keeps objects as files shows the folder.
        Ok(_) => subject.gaps.keys_are_paths,
        Err(error) => matches!(error.kind, ErrorKind::NotFound | ErrorKind::InvalidKey),
    };
    assert!(is_missing, "{slash}");
}

pub async fn ping_and_sweep_succeed(subject: &Subject) {
    subject.backend.ping().await.expect("storage is there");
    subject.backend.sweep().await.expect("nothing to sweep");
}
