//! Tags of a repository, one a line: which of them follow the first one.

use std::cmp::Ordering;

use lamina::lock::tag::{TagPattern, newer};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let tags: Vec<&str> = text.lines().take(6).collect();
    let patterns: Vec<TagPattern<'_>> = tags.iter().filter_map(|tag| TagPattern::parse(tag)).collect();
    for a in &patterns {
        assert_eq!((a.compare(a), a.step_to(a)), (Ordering::Equal, None));
        assert!(a.is_variant_of(a));
        for b in patterns.iter().filter(|b| a.is_variant_of(b)) {
            assert!(b.is_variant_of(a));
            assert_eq!(a.compare(b), b.compare(a).reverse());
            assert!(a.step_to(b).is_none() || b.step_to(a).is_none(), "{a:?} {b:?}");
            for c in patterns.iter().filter(|c| b.is_variant_of(c)) {
                assert!(a.is_variant_of(c));
                if a.compare(b) != Ordering::Greater && b.compare(c) != Ordering::Greater {
                    assert_ne!(a.compare(c), Ordering::Greater, "{a:?} {b:?} {c:?}");
                }
                if let (Some(first), Some(second)) = (a.step_to(b), b.step_to(c)) {
                    assert_eq!(a.step_to(c), Some(first.max(second)), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
    for tag in &tags {
        let Some(pattern) = TagPattern::parse(tag) else {
            assert!(newer(tag, tags.iter().copied()).is_empty() && !tag.contains(|c: char| c.is_ascii_digit()));
            continue;
        };
        let version = pattern.version_text();
        assert!(tag.contains(&version), "{tag:?} has {version:?}");
        assert_eq!(TagPattern::parse(&version).map(|again| again.version_text()), Some(version));
    }
    let Some(first) = tags.first().filter(|tag| TagPattern::parse(tag).is_some()) else { return };
    let pattern = TagPattern::parse(first).expect("it has just been one");
    let found = newer(first, tags.iter().copied());
    for (tag, step) in &found {
        let follower = TagPattern::parse(tag).expect("what follows is a version");
        assert_eq!(pattern.step_to(&follower), Some(*step), "{first:?} {tag:?}");
    }
    for pair in found.windows(2) {
        let [a, b] = pair else { unreachable!("windows of two") };
        let (newer, older) = (TagPattern::parse(a.0), TagPattern::parse(b.0));
        let (newer, older) = (newer.expect("a version"), older.expect("a version"));
        assert_ne!(newer.compare(&older), Ordering::Less, "{pair:?}");
        assert_ne!(a.0, b.0);
        assert!(a.1 >= b.1, "the newer one is as far away at least: {pair:?}");
    }
    let follows = |tag: &&&str| TagPattern::parse(tag).is_some_and(|other| pattern.step_to(&other).is_some());
    assert!(tags.iter().filter(follows).all(|tag| found.iter().any(|(known, _)| known == tag)));
    // Of the same tags, in whatever order, the same follow.
    assert_eq!(found, newer(first, tags.iter().rev().copied()));
}
