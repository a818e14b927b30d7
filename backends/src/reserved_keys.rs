//! Keys that the gateway keeps for itself, in every form that some file system takes for the same name.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Prefix of the names at the root of a bucket that the gateway uses for temporary files and sidecar files.
pub const OWN_PREFIX: &str = ".asset-gateway";
/// Prefix of the short names (8.3) that FAT and NTFS give to names with [`OWN_PREFIX`].
const SHORT_PREFIX: &str = "asset-~";
/// Folder of the uploads that browsers send directly to storage.
const STAGING: &str = ".staging";

/// Whether some file system may map the key to the gateway's own folder: one that folds case, normalises
/// Unicode, ignores invisible characters or has short names.
pub fn is_internal(key: &str) -> bool {
    let name = first_segment(key);
    if name.is_ascii() {
        return begins_with(name, OWN_PREFIX) || begins_with(name, SHORT_PREFIX);
    }
    let name = folded(name);
    name.starts_with(OWN_PREFIX) || name.starts_with(SHORT_PREFIX)
}

fn begins_with(name: &str, prefix: &str) -> bool {
    let beginning = name.as_bytes().get(..prefix.len());
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Whether the key is internal or in the staging folder: no token is made for it.
pub fn is_reserved(key: &str) -> bool {
    is_internal(key) || (key.contains('/') && folded(first_segment(key)) == STAGING)
}

fn first_segment(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

/// The common form of all names that some file system treats as equal: NFKC, full case folding, no
/// ignorable characters, and no dots or spaces at the end, which Windows drops.
fn folded(name: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let visible: String = name.chars().filter(|c| !is_ignorable(*c)).collect();
    let lower = nfkc.normalize(&visible).to_lowercase();
    // Case folding may leave the normal form.
    let folded = nfkc.normalize(&lower).replace('ß', "ss");
    folded.trim_end_matches(['.', ' ']).to_owned()
}

/// `Default_Ignorable_Code_Point` of the Unicode character database.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that some file system maps to the internal folder.
    const FORMS: &[&str] = &[
        ".asset-gateway",
        ".Asset-Gateway",
        ".asset-gateway.",
        ".asset-gateway. .",
        ".asset-gateway ",
        ".asset-gateway:stream",
        ".aßet-gateway",
        ".aẞET-GATEWAY",
        // Full width, a long s, a one dot leader.
        ".ａｓｓｅｔ－ｇａｔｅｗａｙ",
        ".aſſet-gateway",
        "\u{2024}asset-gateway",
        // A soft hyphen, a joiner, a byte order mark.
        ".asset\u{ad}-gateway",
        ".asset-gate\u{200d}way",
        "\u{feff}.asset-gateway",
        "ASSET-~1",
    ];

    #[test]
    fn every_form_of_the_internal_folder_is_recognised() {
        for form in FORMS {
            for key in [form.to_string(), format!("{form}/tmp/x")] {
                assert!(is_internal(&key) && is_reserved(&key), "{key:?}");
            }
        }
    }

    #[test]
    fn the_staging_folder_is_reserved() {
        for key in [
            ".staging/x",
            ".Staging/x",
            ".staging./x",
            ".ｓｔａｇｉｎｇ/x",
        ] {
            assert!(is_reserved(key) && !is_internal(key), "{key:?}");
        }
        assert!(!is_reserved(".staging"));
    }

    #[test]
    fn other_keys_are_not_reserved() {
        for key in [
            "a",
            "x/.asset-gateway",
            "asset-gateway",
            "asset",
            ".asset",
            ".stagings/x",
            "",
        ] {
            assert!(!is_reserved(key), "{key:?}");
        }
    }
}
