//! How large the parts of an upload are.

const MIB: u64 = 1024 * 1024;
/// Of one part, and below which an upload is a single request.
const USUAL: u64 = 8 * MIB;
/// Of one upload, at every provider.
const MAX_PARTS: u64 = 10_000;
/// Parts of the usual size in an upload of unknown length; after them sizes double.
const USUAL_PARTS: u64 = 5_000;
/// Parts of each larger size.
const STEP: u64 = 1_000;
/// Of one part, at every provider.
const LARGEST: u64 = 5 * 1024 * MIB;

/// Bytes of the part with this index, from 0.
///
/// With `announced` all parts are of one size (some storage insists), as small as the number of
/// parts allows. Otherwise the first 39 GiB go in parts of 8 MiB, and the most that fits is 523 GiB,
/// at the price of up to 256 MiB for each part in memory.
pub fn part_size(index: u64, announced: Option<u64>) -> u64 {
    match announced {
        Some(length) => length
            .div_ceil(MAX_PARTS)
            .next_multiple_of(MIB)
            .clamp(USUAL, LARGEST),
        None => {
            let doublings = match index.checked_sub(USUAL_PARTS) {
                Some(beyond) => (beyond / STEP + 1).min(5),
                None => 0,
            };
            USUAL << doublings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_length_fits_in_equal_parts() {
        for gib in [0, 1, 78, 79, 1_000, 5_000, 40_000] {
            let length = gib * 1024 * MIB;
            let part = part_size(0, Some(length));
            assert_eq!(part, part_size(9_999, Some(length)));
            assert!(part * MAX_PARTS >= length, "{gib} GiB");
        }
        assert_eq!(part_size(0, Some(1)), USUAL);
        assert_eq!(part_size(0, Some(USUAL * MAX_PARTS)), USUAL);
        assert_eq!(part_size(0, Some(USUAL * MAX_PARTS + 1)), 9 * MIB);
        assert_eq!(part_size(0, Some(u64::MAX)), LARGEST);
    }

    #[test]
    fn an_unknown_length_grows() {
        assert_eq!(part_size(0, None), USUAL);
        assert_eq!(part_size(4_999, None), USUAL);
        assert_eq!(part_size(5_000, None), 2 * USUAL);
        assert_eq!(part_size(9_999, None), 256 * MIB);
        let all: u64 = (0..MAX_PARTS).map(|index| part_size(index, None)).sum();
        assert_eq!(all / (1024 * MIB), 523);
    }
}
