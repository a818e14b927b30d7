//! Sizes of the parts of a multipart upload.

const MIB: u64 = 1024 * 1024;
/// A smaller object is a single request.
const MIN_PART_BYTES: u64 = 8 * MIB;
/// The limit of every provider.
const MAX_PARTS: u64 = 10_000;
/// Parts of the smallest size in an upload of unknown length. After them sizes double.
const MIN_SIZE_PARTS: u64 = 5_000;
/// Parts of each larger size.
const PARTS_PER_DOUBLING: u64 = 1_000;
/// The limit of every provider.
const MAX_PART_BYTES: u64 = 5 * 1024 * MIB;

/// Bytes of the part with this index, from 0.
///
/// Parts of an announced length are all of one size, which some storage insists on, and as small as
/// [`MAX_PARTS`] allows. Of an unknown length, the first 39 GiB go in parts of 8 MiB, and the largest
/// object has 523 GiB, with parts of up to 256 MiB in memory.
pub fn part_size(index: u64, announced: Option<u64>) -> u64 {
    match announced {
        Some(length) => length
            .div_ceil(MAX_PARTS)
            .next_multiple_of(MIB)
            .clamp(MIN_PART_BYTES, MAX_PART_BYTES),
        None => {
            let doublings = match index.checked_sub(MIN_SIZE_PARTS) {
                Some(beyond) => (beyond / PARTS_PER_DOUBLING + 1).min(5),
                None => 0,
            };
            MIN_PART_BYTES << doublings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_fits_in_equal_parts() {
        for gib in [0, 1, 78, 79, 1_000, 5_000, 40_000] {
            let length = gib * 1024 * MIB;
            let part = part_size(0, Some(length));
            assert_eq!(part, part_size(9_999, Some(length)));
            assert!(part * MAX_PARTS >= length, "{gib} GiB");
        }
        assert_eq!(part_size(0, Some(1)), MIN_PART_BYTES);
        assert_eq!(
            part_size(0, Some(MIN_PART_BYTES * MAX_PARTS)),
            MIN_PART_BYTES
        );
        assert_eq!(part_size(0, Some(MIN_PART_BYTES * MAX_PARTS + 1)), 9 * MIB);
        assert_eq!(part_size(0, Some(u64::MAX)), MAX_PART_BYTES);
    }

    #[test]
    fn parts_of_an_unknown_length_grow() {
        assert_eq!(part_size(0, None), MIN_PART_BYTES);
        assert_eq!(part_size(4_999, None), MIN_PART_BYTES);
        assert_eq!(part_size(5_000, None), 2 * MIN_PART_BYTES);
        assert_eq!(part_size(9_999, None), 256 * MIB);
        let all: u64 = (0..MAX_PARTS).map(|index| part_size(index, None)).sum();
        assert_eq!(all / (1024 * MIB), 523);
    }
}
