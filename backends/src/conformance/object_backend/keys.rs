//! Names of objects.

use bytes::Bytes;

use super::Subject;
use super::tools::*;
use crate::error::ErrorKind;
use crate::object_backend::GetOptions;

pub async fn keys_of_any_character(subject: &Subject) {
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

pub async fn keys_are_told_apart(subject: &Subject) {
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

pub async fn deleting_is_idempotent(subject: &Subject) {
    let key = subject.key("folder/deleted");
    subject.backend.delete(&key).await.expect("nothing to do");
    put(subject, &key, &pattern(100, 50)).await;
    subject.backend.delete(&key).await.expect("deleted");
    assert_missing(subject, &key).await;
    subject.backend.delete(&key).await.expect("nothing to do");
}

pub async fn what_is_missing_is_not_found(subject: &Subject) {
    assert_missing(subject, &subject.key("missing")).await;
    assert_missing(subject, &subject.key("missing/below")).await;
    let key = subject.key("there");
    put(subject, &key, &pattern(100, 51)).await;
    // Below an object, and what would be its folder.
    assert_missing(subject, &format!("{key}/below")).await;
    put(subject, &subject.key("folder/there"), &pattern(100, 52)).await;
    if subject.gaps.breaks_on_folders {
        return;
    }
    assert_missing(subject, &subject.key("folder")).await;
    let slash = subject.key("folder/");
    let head = subject.backend.head(&slash, &GetOptions::default()).await;
    let found = kind(head);
    assert!(
        matches!(found, Some(ErrorKind::NotFound | ErrorKind::InvalidKey)),
        "{found:?}"
    );
}

pub async fn ping_answers(subject: &Subject) {
    subject.backend.ping().await.expect("storage is there");
    subject.backend.sweep().await.expect("nothing to sweep");
}
