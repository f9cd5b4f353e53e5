//! `.dockerignore`: which files of a folder are no part of the build context.
//!
//! The rules are Docker's (docs.docker.com/build/concepts/context, "dockerignore files"): patterns are relative to
//! the context's root, `*` and `?` stop at `/`, `**` does not, `!` takes a file back in, the last pattern that
//! matches decides, and a pattern that matches a folder matches all below it. Where the words leave it open, it is as
//! in moby/patternmatcher, which Docker and BuildKit use: what is left out here and not there would change unseen.

/// The patterns of a `.dockerignore`.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    keep: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`: one character but `/`.
    One,
    /// `*`: any number of characters but `/`.
    Star,
    /// `**`: any number of any characters.
    DoubleStar,
    /// The token behind this one may be left out.
    Optional,
    /// Whole folders: anything up to a `/`. Behind an `Optional` this is `**/`.
    Folders,
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// Reads the patterns.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let patterns = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .filter_map(|line| {
                let (keep, pattern) = match line.strip_prefix('!') {
                    Some(rest) => (true, rest.trim()),
                    None => (false, line),
                };
                let cleaned = clean(pattern).filter(|cleaned| !cleaned.is_empty())?;
                Some(Pattern { keep, tokens: tokenize(&cleaned) })
            })
            .collect();
        Self { patterns }
    }

    /// Whether the file at `path`, relative to the context's root, is left out.
    pub fn excludes(&self, path: &str) -> bool {
        let chars: Vec<char> = path.chars().collect();
        let deciding = self.patterns.iter().rev().find(|pattern| pattern.matches(&chars));
        deciding.is_some_and(|pattern| !pattern.keep)
    }

    /// Whether nothing below the folder can be part of the context, so that it need not be read.
    pub fn excludes_all_below(&self, folder: &str) -> bool {
        self.excludes(folder) && !self.patterns.iter().any(|pattern| pattern.keep)
    }
}

impl Pattern {
    /// Whether the pattern matches the path or one of the folders it lies in.
    ///
    /// The pattern is run as a nondeterministic automaton: that costs the product of both lengths,
    /// whatever the pattern, where backtracking can take exponential time.
    fn matches(&self, path: &[char]) -> bool {
        let end = self.tokens.len();
        let (mut states, mut next) = (vec![false; end + 1], vec![false; end + 1]);
        states[0] = true;
        self.skip_what_may_be_empty(&mut states);
        for &c in path {
            if c == '/' && states[end] {
                return true;
            }
            next.fill(false);
            for (state, token) in self.tokens.iter().enumerate().filter(|(state, _)| states[*state]) {
                let (stays, advances) = match token {
                    Token::Literal(literal) => (false, *literal == c),
                    Token::One => (false, c != '/'),
                    Token::Star => (c != '/', false),
                    Token::DoubleStar => (true, false),
                    Token::Optional => (false, false),
                    Token::Folders => (true, c == '/'),
                    Token::Class { negated, ranges } => {
                        let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                        (false, within != *negated && c != '/')
                    }
                };
                next[state] |= stays;
                next[state + 1] |= advances;
            }
            self.skip_what_may_be_empty(&mut next);
            std::mem::swap(&mut states, &mut next);
        }
        states[end]
    }

    fn skip_what_may_be_empty(&self, states: &mut [bool]) {
        for (state, token) in self.tokens.iter().enumerate() {
            if states[state] {
                match token {
                    Token::Star | Token::DoubleStar => states[state + 1] = true,
                    Token::Optional => {
                        states[state + 1] = true;
                        states[state + 2] = true;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Resolves `.`, `..`, empty parts and a leading `/`, as Docker does before it reads a pattern. None where the pattern
/// leads out of the context: no file of it is meant.
fn clean(pattern: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.pop() {
                Some(_) => {}
                // There is nothing above the root.
                None if pattern.starts_with('/') => {}
                None => return None,
            },
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn tokenize(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                let is_first = tokens.is_empty();
                let is_folders = chars.next_if_eq(&'/').is_some();
                let rest: String = chars.clone().collect();
                // `**` stands for folders, also where no `/` is behind it; but all that ends in `.log` is `**.log`.
                let is_ending = is_first && !is_folders && !rest.contains(['*', '?', '[', ']', '\\']);
                if rest.is_empty() || is_ending {
                    tokens.push(Token::DoubleStar);
                } else {
                    tokens.extend([Token::Optional, Token::Folders]);
                }
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::One),
            '\\' => tokens.push(Token::Literal(chars.next().unwrap_or('\\'))),
            '[' => {
                let rest: String = chars.clone().collect();
                match class(&rest) {
                    Some((token, length)) => {
                        tokens.push(token);
                        chars.by_ref().take(length).for_each(drop);
                    }
                    None => tokens.push(Token::Literal('[')),
                }
            }
            c => tokens.push(Token::Literal(c)),
        }
    }
    tokens
}

/// Reads a class behind its `[`; returns it with the number of characters it took.
fn class(text: &str) -> Option<(Token, usize)> {
    let body: Vec<char> = text.chars().take_while(|c| *c != ']').collect();
    if body.len() == text.chars().count() {
        return None;
    }
    let negated = body.first() == Some(&'^');
    let mut members = body[usize::from(negated)..].iter().copied().peekable();
    let mut ranges = Vec::new();
    while let Some(low) = members.next() {
        let high = if members.next_if_eq(&'-').is_some() { members.next()? } else { low };
        ranges.push((low, high));
    }
    (!ranges.is_empty()).then_some((Token::Class { negated, ranges }, body.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::Ignore;

    #[test]
    fn patterns_follow_dockers_rules() {
        let cases: [(&str, &[&str], &[&str]); 17] = [
            ("*.md", &["a.md"], &["b/a.md", "a.mdx"]),
            ("**/*.md", &["a.md", "b/c/a.md"], &["a.txt"]),
            ("**/foo", &["foo", "a/foo", "a/b/foo/c"], &["xfoo", "a/xfoo"]),
            ("target", &["target/x/y", "target"], &["a/target", "targets"]),
            ("/src/../lib/", &["lib/a"], &["src/a"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "b/a/c"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("**.log", &["a.log", "x/y.log"], &["a.logs"]),
            ("a/**b", &["a/b", "a/x/b"], &["a/xb", "a/x/yb"]),
            ("**x*", &["x", "xy", "a/xy"], &["ax", "a/bx"]),
            ("**x", &["x", "ax", "a/bx"], &["xa"]),
            ("../a", &[], &["a", "b/a"]),
            ("/../a", &["a"], &["b/a"]),
            ("a/../../a\n.", &[], &["a", "b"]),
            ("f?.[ch]", &["fa.c", "fb.h"], &["f.c", "fab.c", "fa.x"]),
            ("*\n!Cargo.*\n!src\nsrc/bad", &["x", "src/bad/y"], &["Cargo.toml", "src/a"]),
            ("# note\n\\#file", &["#file"], &["# note"]),
        ];
        for (text, excluded, kept) in cases {
            let ignore = Ignore::parse(text);
            excluded.iter().for_each(|path| assert!(ignore.excludes(path), "{text:?} excludes {path}"));
            kept.iter().for_each(|path| assert!(!ignore.excludes(path), "{text:?} keeps {path}"));
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let ignore = Ignore::parse(&format!("{}b", "*a".repeat(2000)));
        assert!(!ignore.excludes(&"a".repeat(2000)));
    }
}
