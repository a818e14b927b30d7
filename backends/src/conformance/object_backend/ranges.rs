//! Range requests (RFC 9110 §14).

use std::ops::Range;

use super::Subject;
use super::tools::*;
use crate::error::ErrorKind;
use crate::object_backend::ByteRange;

const SIZE: u64 = 100_000;

fn from(first: u64) -> ByteRange {
    ByteRange::From { first, last: None }
}

fn between(first: u64, last: u64) -> ByteRange {
    let last = Some(last);
    ByteRange::From { first, last }
}

fn suffix(length: u64) -> ByteRange {
    ByteRange::Suffix { length }
}

fn is_long_suffix(range: ByteRange, size: u64) -> bool {
    matches!(range, ByteRange::Suffix { length } if length > size)
}

async fn assert_range(subject: &Subject, size: usize, range: ByteRange, expected: Range<u64>) {
    let key = subject.key(&format!("ranged-{size}"));
    let found = get_with(subject, &key, ranged(range)).await;
    let found = found.expect("the range is inside");
    assert_eq!(found.range, Some(expected.clone()), "{range:?}");
    assert_eq!(
        found.meta.size,
        Some(size as u64),
        "size of the object, {range:?}"
    );
    assert_eq!(found.content_length(), Some(expected.end - expected.start));
    let all = pattern(size, 10);
    let wanted = all.slice(expected.start as usize..expected.end as usize);
    assert_same(&read(found).await, &wanted);
}

async fn put_ranged(subject: &Subject, size: usize) {
    let key = subject.key(&format!("ranged-{size}"));
    put(subject, &key, &pattern(size, 10)).await;
}

pub async fn ranges_inside_the_object(subject: &Subject) {
    let size = SIZE as usize;
    put_ranged(subject, size).await;
    for (range, expected) in [
        (between(0, 0), 0..1),
        (between(0, 99), 0..100),
        (between(500, 1499), 500..1500),
        (between(0, SIZE - 1), 0..SIZE),
        (between(SIZE - 1, SIZE - 1), SIZE - 1..SIZE),
        (from(0), 0..SIZE),
        (from(70_000), 70_000..SIZE),
        (from(SIZE - 1), SIZE - 1..SIZE),
        (suffix(1), SIZE - 1..SIZE),
        (suffix(500), SIZE - 500..SIZE),
        (suffix(SIZE), 0..SIZE),
    ] {
        assert_range(subject, size, range, expected).await;
    }
}

pub async fn ranges_are_clamped_to_the_object(subject: &Subject) {
    let size = SIZE as usize;
    put_ranged(subject, size).await;
    for (range, expected) in [
        (between(90_000, SIZE), 90_000..SIZE),
        (between(90_000, 1 << 40), 90_000..SIZE),
        (suffix(SIZE + 1), 0..SIZE),
        (suffix(1 << 40), 0..SIZE),
    ] {
        if is_long_suffix(range, SIZE) && subject.gaps.breaks_on_long_suffixes {
            continue;
        }
        assert_range(subject, size, range, expected).await;
    }
}

pub async fn ranges_outside_the_object(subject: &Subject) {
    for (size, range) in [
        (SIZE, from(SIZE)),
        (SIZE, between(SIZE, SIZE + 10)),
        (SIZE, from(1 << 40)),
        (SIZE, suffix(0)),
        (0, from(0)),
        (0, between(0, 9)),
        (0, suffix(5)),
    ] {
        if is_long_suffix(range, size) && subject.gaps.breaks_on_long_suffixes {
            continue;
        }
        put_ranged(subject, size as usize).await;
        let key = subject.key(&format!("ranged-{size}"));
        let outside = get_with(subject, &key, ranged(range)).await;
        let expected = ErrorKind::RangeNotSatisfiable { size: Some(size) };
        assert_eq!(kind(outside), Some(expected), "{range:?} of {size}");
    }
}

pub async fn ranges_of_a_large_object(subject: &Subject) {
    let size = 17 * MIB;
    put_ranged(subject, size).await;
    let end = size as u64;
    let middle = 8 * MIB as u64;
    for (range, expected) in [
        // Across the boundary of two parts.
        (
            between(middle - 70_000, middle + 69_999),
            middle - 70_000..middle + 70_000,
        ),
        (from(end - 300_000), end - 300_000..end),
        (suffix(300_000), end - 300_000..end),
    ] {
        assert_range(subject, size, range, expected).await;
    }
}
