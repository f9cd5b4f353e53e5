//! `.dockerignore`: a path in the first line, patterns in all others.

use lamina::tree::Ignore;

use super::split;

pub fn run(data: &[u8]) {
    let (path, text) = split(data, b'\n');
    let (path, text) = (String::from_utf8_lossy(path), String::from_utf8_lossy(text));
    let ignore = Ignore::parse(&text);
    let excluded = ignore.excludes(&path);

    if is_plain_path(&path)
        && let Some(expected) = docker::excludes(&path, &text)
    {
        assert_eq!(excluded, expected, "{path:?} by {text:?}");
    }
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
    if is_plain_path(&path) && path.trim() == path && !path.starts_with(['!', '#', '\u{feff}']) {
        let escaped: String =
            path.chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        assert!(with(&escaped), "{path:?} by {escaped:?}");
        assert!(!with(&format!("!{escaped}")), "{path:?} but not by {escaped:?}");
        assert!(!Ignore::parse(&escaped).excludes(&format!("{path}x")), "{path:?} by {escaped:?}");
    }
}

/// Whether it is a path as trees have them, on one line.
fn is_plain_path(path: &str) -> bool {
    path.split('/').all(|part| !["", ".", ".."].contains(&part)) && !path.contains(['\r', '\n'])
}

/// What Docker does, the slow way: patterns become regular expressions as in moby/patternmatcher (`compile`), which are
/// then tried one way after the other.
mod docker {
    /// A part of a regular expression.
    #[derive(Clone, Copy, PartialEq)]
    enum Part {
        /// The character itself.
        Is(char),
        /// `[^/]`
        One,
        /// `[^/]*`
        Many,
        /// `(.*/)?`
        Folders,
        /// `.*`
        All,
    }

    /// `None` for what is not comparable: classes, which Docker hands to Go's regular expressions with all that is in
    /// them, and escapes that mean something there; and for what would take this too long.
    pub fn excludes(path: &str, text: &str) -> Option<bool> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.contains(['[', ']', '^', '\0']) || text.matches('*').count() > 5 || path.len() > 24 || text.len() > 256
        {
            return None;
        }
        let mut excluded = false;
        for line in text.lines() {
            let pattern = line.trim();
            if line.starts_with('#') || pattern.is_empty() {
                continue;
            }
            let (keeps, pattern) = match pattern.strip_prefix('!') {
                // Docker refuses an exception of nothing.
                Some(rest) if rest.trim().is_empty() => return None,
                Some(rest) => (true, rest.trim()),
                None => (false, pattern),
            };
            let cleaned = cleaned(pattern);
            // `./!x` becomes an exception on its way; lamina takes it for a name.
            if !keeps && cleaned.starts_with('!') {
                return None;
            }
            let parts = compile(&cleaned)?;
            let folders = path.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| &path[..at]);
            if std::iter::once(path).chain(folders).any(|path| matches(&parts, &path.chars().collect::<Vec<_>>())) {
                excluded = !keeps;
            }
        }
        Some(excluded)
    }

    /// Go's `filepath.Clean`, and no slash in front.
    fn cleaned(pattern: &str) -> String {
        let rooted = pattern.starts_with('/');
        let mut parts: Vec<&str> = Vec::new();
        for part in pattern.split('/').filter(|part| !["", "."].contains(part)) {
            match part {
                ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
                ".." if rooted => {}
                part => parts.push(part),
            }
        }
        if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
    }

    fn compile(pattern: &str) -> Option<Vec<Part>> {
        let chars: Vec<char> = pattern.chars().collect();
        let (mut parts, mut at) = (Vec::new(), 0);
        // What stands behind `**` at the start is compared as it is, where nothing in it is special.
        if let Some(rest) = pattern.strip_prefix("**")
            && !rest.contains(['*', '?', '\\'])
        {
            parts.extend(rest.chars().map(Part::Is));
            let folders = rest.strip_prefix('/').map(|name| name.chars().map(Part::Is).collect::<Vec<_>>());
            return Some(
                folders.map_or([vec![Part::All], parts].concat(), |name| [vec![Part::Folders], name].concat()),
            );
        }
        while let Some(c) = chars.get(at) {
            at += 1;
            match c {
                '*' if chars.get(at) == Some(&'*') => {
                    at += 1;
                    if chars.get(at) == Some(&'/') {
                        at += 1;
                    }
                    parts.push(if at >= chars.len() { Part::All } else { Part::Folders });
                }
                '*' => parts.push(Part::Many),
                '?' => parts.push(Part::One),
                '\\' => {
                    let escaped = chars.get(at).filter(|c| c.is_ascii_punctuation())?;
                    parts.push(Part::Is(*escaped));
                    at += 1;
                }
                c => parts.push(Part::Is(*c)),
            }
        }
        Some(parts)
    }

    fn matches(parts: &[Part], path: &[char]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return path.is_empty() };
        match part {
            Part::Is(c) => path.first() == Some(c) && matches(rest, &path[1..]),
            Part::One => path.first().is_some_and(|c| *c != '/') && matches(rest, &path[1..]),
            Part::Many => (0..=path.iter().take_while(|c| **c != '/').count()).any(|at| matches(rest, &path[at..])),
            Part::Folders => {
                matches(rest, path) || (0..path.len()).any(|at| path[at] == '/' && matches(rest, &path[at + 1..]))
            }
            Part::All => (0..=path.len()).any(|at| matches(rest, &path[at..])),
        }
    }
}
