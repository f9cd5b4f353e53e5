//! Lists of changed paths, as git prints them.

/// The paths in what `git diff --name-only` prints: one a line, quoted where it has special characters
/// (git-config(1), core.quotePath); or, with `-z`, each as it is, with a NUL behind it. What is not UTF-8 is replaced:
/// no such path can be part of a catalog.
pub fn listed_paths(bytes: &[u8]) -> impl Iterator<Item = String> {
    let separator = if bytes.contains(&0) { 0 } else { b'\n' };
    let paths = bytes.split(move |byte| *byte == separator).map(move |path| match separator {
        0 => path.to_vec(),
        _ => unquote(path.strip_suffix(b"\r").unwrap_or(path)),
    });
    paths.filter(|path| !path.is_empty()).map(|path| String::from_utf8_lossy(&path).into_owned())
}

/// Undoes git's quoting of special names (git-config(1), core.quotePath): `"layers/\303\244"`.
fn unquote(line: &[u8]) -> Vec<u8> {
    let Some(inner) = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")) else { return line.to_vec() };
    let mut unquoted = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            unquoted.push(byte);
            continue;
        }
        match bytes.next() {
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) {
                        value = value * 8 + u32::from(digit - b'0');
                    }
                }
                unquoted.push(u8::try_from(value).unwrap_or(b'?'));
            }
            Some(b'n') => unquoted.push(b'\n'),
            Some(b't') => unquoted.push(b'\t'),
            Some(b'r') => unquoted.push(b'\r'),
            Some(b'a') => unquoted.push(0x07),
            Some(b'b') => unquoted.push(0x08),
            Some(b'v') => unquoted.push(0x0b),
            Some(b'f') => unquoted.push(0x0c),
            Some(other) => unquoted.push(other),
            None => {}
        }
    }
    unquoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_quoting_is_undone() {
        assert_eq!(unquote(b"layers/a b"), b"layers/a b");
        assert_eq!(unquote(br#""layers/\303\244\"\\\t""#), "layers/ä\"\\\t".as_bytes());
    }

    #[test]
    fn lines_may_end_as_on_windows_and_paths_between_nul_are_what_they_are() {
        let paths = |bytes| listed_paths(bytes).collect::<Vec<_>>();
        assert_eq!(paths(b"a\r\n\n\"b\\r\"\nc"), ["a", "b\r", "c"]);
        assert_eq!(paths(b"a\r\0\"b\"\0"), ["a\r", "\"b\""]);
    }
}
