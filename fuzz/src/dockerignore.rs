//! `.dockerignore`: a path in the first line, patterns in all others.

use lamina::tree::Ignore;

use super::split;

pub fn run(data: &[u8]) {
    let (path, text) = split(data, b'\n');
    let (path, text) = (String::from_utf8_lossy(path), String::from_utf8_lossy(text));
    let ignore = Ignore::parse(&text);
    let excluded = ignore.excludes(&path);

    let below = format!("{path}/x");
    if ignore.excludes_all_below(&path) {
        assert!(excluded && ignore.excludes(&below), "what lies in a folder that is left out");
    }
    let takes_back = text.lines().any(|line| line.trim().starts_with('!'));
    if excluded && !takes_back {
        assert!(ignore.excludes(&below), "nothing takes it back");
        assert!(ignore.excludes_all_below(&path));
    }
    // One more pattern can leave out more, one more exception less, and a comment nothing.
    let last = text.lines().last().unwrap_or_default();
    let last = last.trim_matches(|c: char| c == '!' || c.is_whitespace());
    let with = |line: &str| Ignore::parse(&format!("{text}\n{line}\n")).excludes(&path);
    assert!(!excluded || with(last));
    assert!(excluded || !with(&format!("!{last}")));
    assert_eq!(excluded, with("# comment"));
    // The path itself, with its special characters taken as they are.
    let parts_are_plain = path.split('/').all(|part| !["", ".", ".."].contains(&part));
    if parts_are_plain
        && path.trim() == path
        && !path.contains(['\r', '\n'])
        && !path.starts_with(['!', '#', '\u{feff}'])
    {
        let escaped: String =
            path.chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        assert!(with(&escaped), "{path:?} by {escaped:?}");
        assert!(!with(&format!("!{escaped}")), "{path:?} but not by {escaped:?}");
        assert!(!Ignore::parse(&escaped).excludes(&format!("{path}x")), "{path:?} by {escaped:?}");
    }
}
