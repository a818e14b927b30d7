//! Removes invisible characters from file names.

use std::borrow::Cow;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// `name` without bidirectional controls (U+202E makes `gpj.exe` look like a picture), joiners, variation
/// selectors, fillers and controls.
pub fn remove_invisible(name: &str) -> Cow<'_, str> {
    if name.is_ascii() && !name.contains(|c: char| c.is_ascii_control()) {
        return Cow::Borrowed(name);
    }
    match name.contains(is_invisible) {
        false => Cow::Borrowed(name),
        true => Cow::Owned(name.chars().filter(|c| !is_invisible(*c)).collect()),
    }
}

/// Default_Ignorable_Code_Point (Unicode Standard §5.21, with every bidirectional control), and further
/// characters without a glyph: controls, separators of lines and paragraphs, the Braille blank, annotation
/// marks.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}'
        )
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}
