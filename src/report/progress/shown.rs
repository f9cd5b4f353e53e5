//! What a build writes, made fit for a terminal.

/// A line as it can be shown: without escape sequences, and without what later words of the line have overwritten, as
/// progress bars of programs do. Tabs are blanks, and what is left of control characters is `�`.
pub fn shown(line: &str) -> String {
    if !line.contains(char::is_control) {
        return line.to_owned();
    }
    let line = without_escapes(line);
    let last = line.rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or_default();
    let plain = |c: char| match c {
        '\t' | '\n' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    last.chars().map(plain).collect()
}

/// Without control sequences (`ESC [ … letter`) and commands to the terminal (`ESC ] … BEL`); ECMA-48 §5.4 and §8.3.89.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\u{9b}', _) => skip_sequence(&mut chars),
            ('\u{1b}', Some('[')) => {
                chars.next();
                skip_sequence(&mut chars);
            }
            ('\u{1b}', Some(']')) => {
                while let Some(c) = chars.next() {
                    match (c, chars.peek()) {
                        ('\u{7}', _) => break,
                        ('\u{1b}', Some('\\')) => {
                            chars.next();
                            break;
                        }
                        _ => {}
                    }
                }
            }
            _ => text.push(c),
        }
    }
    text
}

/// Parameters and what stands between them and the final character.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn nothing_of_a_line_moves_a_cursor() {
        for (line, expected) in [
            ("plain", "plain"),
            ("\u{1b}[1;32m   Compiling\u{1b}[0m serde", "   Compiling serde"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b", "ab"),
            ("10%\r20%\r100%\r", "100%"),
            ("a\tb\u{7}\u{9b}2Jc", "a b\u{fffd}c"),
            ("\u{1b}[", ""),
            ("\u{1b}c", "\u{fffd}c"),
            ("\u{1b}]unended", ""),
            ("\r\r", ""),
        ] {
            assert_eq!(shown(line), expected, "{line:?}");
        }
    }
}
