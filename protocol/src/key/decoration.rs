//! Removes what mail, chat and word processors do to a license key on its way: other hyphens, quotation marks, line breaks,
//! invisible characters, full-width letters. No letter, digit or hyphen is guessed or added.

/// The key in plain capitals, if the text is a key and nothing else.
pub(super) fn removed(text: &str) -> String {
    let lines = text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']);
    let chars = lines.flat_map(|line| line.trim_start_matches(is_margin).chars());
    let plain: String = chars.filter(|&char| !is_invisible(char)).map(plain).collect();
    plain.trim_matches(|char: char| !char.is_alphanumeric()).to_ascii_uppercase()
}

/// The margin of a quoted mail.
fn is_margin(char: char) -> bool {
    char == '>' || is_invisible(char)
}

/// The ASCII character that is meant.
fn plain(char: char) -> char {
    match char {
        // Hyphens, dashes and the minus sign; the long vowel mark that Japanese keyboards have in their place; and dashes of
        // Windows-1252 that were read as Latin-1.
        '\u{96}'
        | '\u{97}'
        | '\u{2d7}'
        | '\u{58a}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{2212}'
        | '\u{30fc}'
        | '\u{fe31}'
        | '\u{fe32}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{ff0d}'
        | '\u{ff70}' => '-',
        // The capital and small I of a text whose case was changed in Turkish.
        '\u{130}' | '\u{131}' => 'I',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        other => other,
    }
}

/// Reports whether a character is invisible: space, controls, and what formats text. Two controls are dashes in Windows-1252.
pub fn is_invisible(char: char) -> bool {
    let dash = matches!(char, '\u{96}' | '\u{97}');
    char.is_whitespace()
        || (char.is_control() && !dash)
        || matches!(
            char,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
