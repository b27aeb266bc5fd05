//! Text from elsewhere as a terminal may show it: control characters and those that change the direction of the text around
//! them are written as escapes.

use std::fmt::Write;

/// A text with its line ends, and everything else that moves a cursor or reorders characters escaped.
pub(super) fn lines(text: &str) -> String {
    escaped(text, |char| char == '\n')
}

/// A text in one line: line ends are escaped, too. For what stands in a list, a row or a sentence.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

/// A text as the value of a field: its further lines are indented, so that none of them looks like another field.
pub(crate) fn indented(text: &str, columns: usize) -> String {
    let text = text.trim_end_matches(['\n', '\r']).replace("\r\n", "\n");
    lines(&text).replace('\n', &format!("\n{:columns$}", ""))
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            char if keep(char) || !is_hidden(char) => shown.push(char),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            char => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(char));
            }
        }
    }
    shown
}

/// Controls, separators of lines, and the marks, embeddings, overrides and isolates of bidirectional text; invisible
/// characters that only programs read. Joiners stay, which scripts and emoji need.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_and_directions_are_escapes() {
        for (text, expected) in [
            ("plain é 漢字 עברית 👩\u{200d}💻", "plain é 漢字 עברית 👩\u{200d}💻"),
            ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
            ("\u{1b}[31mred\u{7}\u{9b}", "\\u{1b}[31mred\\u{7}\\u{9b}"),
            ("user\u{202e}gpj.exe\u{2066}\u{2069}", "user\\u{202e}gpj.exe\\u{2066}\\u{2069}"),
            ("a\u{2028}b\u{85}c\u{feff}", "a\\u{2028}b\\u{85}c\\u{feff}"),
        ] {
            assert_eq!(one_line(text), expected);
        }
        assert_eq!(lines("a\nb\rc"), "a\nb\\rc");
        assert_eq!(indented("a\r\nb\nc\n", 2), "a\n  b\n  c");
    }

    proptest! {
        #[test]
        fn one_line_is_one_line_without_controls(text in any::<String>()) {
            let shown = one_line(&text);
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert_eq!(lines(&text).replace('\n', "\\n"), shown, "only line ends differ");
        }

        #[test]
        fn no_further_line_of_a_field_begins_at_the_margin(text in any::<String>()) {
            prop_assert!(indented(&text, 3).split('\n').skip(1).all(|line| line.starts_with("   ")));
        }
    }
}
