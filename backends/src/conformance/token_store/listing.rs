//! Listings and mass revocation.

use std::collections::BTreeSet;

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, Created, Filter, Method, TokenId, TokenState};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

/// All pages of a listing, without duplicates.
async fn ids(f: &Fixture, filter: &Filter, limit: usize) -> BTreeSet<TokenId> {
    let mut ids = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = f.stores.tokens.list(filter, limit, cursor.as_deref()).await;
        let page = page.unwrap().expect("the store's own cursor");
        assert!(page.tokens.len() <= limit);
        for token in page.tokens {
            assert!(ids.insert(token.id), "{} came twice", token.id);
        }
        match page.cursor {
            Some(next) => {
                assert!(next.bytes().all(|b| b.is_ascii_graphic()));
                cursor = Some(next);
            }
            None => return ids,
        }
    }
}

fn set(ids: impl IntoIterator<Item = u64>) -> BTreeSet<TokenId> {
    ids.into_iter().map(id).collect()
}

fn bucket(bucket: &str, prefix: Option<&str>) -> Filter {
    Filter {
        bucket: Some(bucket.into()),
        prefix: prefix.map(Into::into),
        ..Filter::default()
    }
}

fn tag(tag: &str) -> Filter {
    Filter {
        tag: Some(tag.into()),
        ..Filter::default()
    }
}

/// Tokens 1–3 in `photos`, 4 and 5 in a bucket whose name begins with `photos`.
async fn prepare(f: &Fixture) {
    let tokens = [
        (1, "photos", "2024/a", &["one"][..], Method::Get),
        (2, "photos", "2024/b", &["one", "two"], Method::Put),
        (3, "photos", "2025/a", &[], Method::Get),
        (4, "photos-old", "2024/a", &["one"], Method::Head),
        (5, "photos-old", "2025", &["on"], Method::Get),
    ];
    for (n, bucket, key, tags, method) in tokens {
        let mut record = f.record(method);
        record.bucket = bucket.into();
        record.key = key.into();
        record.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        f.create(id(n), record).await;
    }
}

pub async fn by_bucket_prefix_tag_and_method(f: Fixture) {
    prepare(&f).await;
    let by_method = |method| Filter {
        method: Some(method),
        ..Filter::default()
    };
    let cases = [
        (Filter::default(), set(1..=5)),
        (bucket("photos", None), set(1..=3)),
        (bucket("photos-old", None), set([4, 5])),
        (bucket("phot", None), set([])),
        (bucket("photos", Some("2024/")), set([1, 2])),
        (bucket("photos", Some("2024/a")), set([1])),
        (bucket("photos", Some("2024/a/b")), set([])),
        (bucket("photos", Some("")), set(1..=3)),
        (tag("one"), set([1, 2, 4])),
        (tag("on"), set([5])),
        (tag("none"), set([])),
        (by_method(Method::Get), set([1, 3, 5])),
        (by_method(Method::Head), set([4])),
        (
            Filter {
                tag: Some("one".into()),
                ..bucket("photos", Some("2024/b"))
            },
            set([2]),
        ),
        (
            Filter {
                method: Some(Method::Get),
                ..bucket("photos", None)
            },
            set([1, 3]),
        ),
    ];
    for (filter, expected) in cases {
        for limit in [1, 2, 100] {
            assert_eq!(ids(&f, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

pub async fn by_state(f: Fixture) {
    let state = |state| Filter {
        state: Some(state),
        ..Filter::default()
    };
    let mut expired = f.record(Method::Get);
    expired.expire_at = f.now();
    f.create(id(1), expired).await;
    f.create(id(2), f.limited(Method::Get, 1)).await;
    f.create(id(3), f.limited(Method::Get, 2)).await;
    f.create(id(4), f.record(Method::Get)).await;
    f.create(id(5), f.limited(Method::Put, 1)).await;
    for n in 2..=4 {
        f.admit(id(n), Access::Get).await;
    }
    // A leased hit is not spent.
    f.admit(id(5), Access::Put).await;
    assert_eq!(ids(&f, &state(TokenState::Expired), 10).await, set([1]));
    assert_eq!(ids(&f, &state(TokenState::Exhausted), 10).await, set([2]));
    assert_eq!(
        ids(&f, &state(TokenState::Active), 10).await,
        set([3, 4, 5])
    );
}

pub async fn a_listing_includes_used_hits(f: Fixture) {
    f.create(id(1), f.record(Method::Get)).await;
    f.admit(id(1), Access::Get).await;
    let page = f.stores.tokens.list(&Filter::default(), 10, None).await;
    let listed = page.unwrap().unwrap().tokens.remove(0);
    assert_eq!(Some(listed), f.stores.tokens.get(id(1)).await.unwrap());
}

async fn five_hundred(f: &Fixture) {
    let tokens = (0..500).map(|n| {
        let mut record = f.record(if n % 5 == 0 { Method::Put } else { Method::Get });
        record.key = format!("k/{}", n % 7);
        record.tags = vec!["all".into()];
        (id(n), record)
    });
    let created = f.stores.tokens.create(tokens.collect()).await.unwrap();
    assert_eq!(created, Created::Done);
}

pub async fn pages_list_each_of_500_tokens_once(f: Fixture) {
    five_hundred(&f).await;
    for filter in [Filter::default(), bucket("bucket", Some("k/")), tag("all")] {
        for limit in [7, 100, 500, 501] {
            assert_eq!(ids(&f, &filter, limit).await, set(0..500));
        }
    }
    let puts = Filter {
        method: Some(Method::Put),
        ..tag("all")
    };
    assert_eq!(ids(&f, &puts, 9).await, set((0..500).step_by(5)));
}

pub async fn a_listing_continues_after_deletions(f: Fixture) {
    five_hundred(&f).await;
    let list = |cursor: Option<String>| {
        let tokens = f.stores.tokens.clone();
        async move {
            let page = tokens.list(&Filter::default(), 50, cursor.as_deref()).await;
            page.unwrap().unwrap()
        }
    };
    let mut page = list(None).await;
    let mut seen = 0;
    loop {
        seen += page.tokens.len();
        for token in page.tokens {
            assert!(f.stores.tokens.delete(token.id).await.unwrap());
        }
        match page.cursor {
            Some(cursor) => page = list(Some(cursor)).await,
            None => break,
        }
    }
    assert_eq!(seen, 500);
}

pub async fn a_foreign_cursor_is_refused(f: Fixture) {
    prepare(&f).await;
    for cursor in [
        "",
        "x",
        "00",
        "zz!",
        "ÄÖ",
        "ffffffffffffffffffffffffffffffffff",
    ] {
        let page = f
            .stores
            .tokens
            .list(&Filter::default(), 10, Some(cursor))
            .await;
        assert!(page.unwrap().is_none(), "{cursor:?}");
    }
}

pub async fn mass_revocation_counts_and_is_idempotent(f: Fixture) {
    prepare(&f).await;
    let tokens = &f.stores.tokens;
    assert_eq!(tokens.delete_matching(&tag("none")).await.unwrap(), 0);
    assert_eq!(tokens.delete_matching(&tag("one")).await.unwrap(), 3);
    assert_eq!(tokens.delete_matching(&tag("one")).await.unwrap(), 0);
    assert_eq!(ids(&f, &Filter::default(), 10).await, set([3, 5]));
    let deleted = tokens
        .delete_matching(&bucket("photos", Some("2025")))
        .await;
    assert_eq!(deleted.unwrap(), 1);
    assert_eq!(tokens.delete_matching(&Filter::default()).await.unwrap(), 1);
    assert!(ids(&f, &Filter::default(), 10).await.is_empty());
}

pub async fn mass_revocation_of_500(f: Fixture) {
    five_hundred(&f).await;
    let puts = Filter {
        method: Some(Method::Put),
        ..bucket("bucket", Some("k/"))
    };
    assert_eq!(f.stores.tokens.delete_matching(&puts).await.unwrap(), 100);
    assert_eq!(
        f.stores.tokens.delete_matching(&tag("all")).await.unwrap(),
        400
    );
}
