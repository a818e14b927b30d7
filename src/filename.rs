//! Names for downloads, as people read them.

use std::borrow::Cow;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// `name` without the characters that nobody sees: bidirectional controls (U+202E makes `gpj.exe` look
/// like a picture), joiners, variation selectors, fillers, controls.
pub fn visible(name: &str) -> Cow<'_, str> {
    if name.is_ascii() && !name.contains(|c: char| c.is_ascii_control()) {
        return Cow::Borrowed(name);
    }
    match name.contains(is_invisible) {
        false => Cow::Borrowed(name),
        true => Cow::Owned(name.chars().filter(|c| !is_invisible(*c)).collect()),
    }
}

/// Default_Ignorable_Code_Point (Unicode Standard §5.21, which holds every bidirectional control) and what
/// else has no glyph and no width to tell: controls, separators of lines and paragraphs, the
/// blank of Braille, annotation marks.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}'
        )
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}
