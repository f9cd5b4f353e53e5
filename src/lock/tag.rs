//! Newer tags by a tag's own pattern: `1.97.1-slim-trixie` is followed by `1.98.0-slim-trixie`, and neither by
//! `1.98.0-slim-bookworm` nor by `1.98-slim-trixie`.
//!
//! Tags are free text; this is what publishers agree on in practice: a version of numbers, in front of and behind
//! it a variant. All but the numbers has to be the same for one tag to follow another.

use std::cmp::Ordering;

/// How far a newer tag is from a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The third number, or one behind it, differs first.
    Patch,
    /// The second number differs first.
    Minor,
    /// The first number differs.
    Major,
}

impl Step {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Patch => "patch",
            Step::Minor => "minor",
            Step::Major => "major",
        }
    }
}

/// A tag taken apart. Comparing two of them makes sense within one variant only, so there is no `Ord`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPattern<'a> {
    /// What stands before the version: `v`, `trixie-`.
    prefix: &'a str,
    /// The numbers of the version.
    version: Vec<&'a str>,
    /// `rc` and its number; none for a finished version.
    prerelease: Option<(Stage, &'a str)>,
    /// What stands behind it: `-slim-trixie`.
    suffix: &'a str,
    /// The number of a last `-r3`, a rebuild of the same version.
    revision: Option<&'a str>,
}

/// The stages before a finished version, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Dev,
    Alpha,
    Beta,
    Preview,
    Candidate,
}

/// The words for the stages; longer ones first where one begins with another.
const STAGES: &[(&str, Stage)] = &[
    ("dev", Stage::Dev),
    ("nightly", Stage::Dev),
    ("snapshot", Stage::Dev),
    ("alpha", Stage::Alpha),
    ("beta", Stage::Beta),
    ("preview", Stage::Preview),
    ("pre", Stage::Preview),
    ("rc", Stage::Candidate),
];

/// From how many digits on a number is a date or a build's number. `3` is not followed by `20240923`.
const DATE_DIGITS: usize = 6;

impl<'a> TagPattern<'a> {
    /// Takes a tag apart; none where it has no number, as `latest` or `trixie-slim`: nothing follows those.
    pub fn parse(tag: &'a str) -> Option<Self> {
        let start = tag.find(|c: char| c.is_ascii_digit())?;
        let (prefix, rest) = tag.split_at(start);
        let mut version = Vec::new();
        let mut rest = rest;
        loop {
            let (number, behind) = digits(rest);
            version.push(number);
            rest = behind;
            match rest.strip_prefix('.') {
                Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) => rest = next,
                _ => break,
            }
        }
        let (prerelease, rest) = prerelease(rest);
        let (suffix, revision) = revision(rest);
        Some(Self { prefix, version, prerelease, suffix, revision })
    }

    /// The numbers of the version, with dots between them.
    pub fn version_text(&self) -> String {
        self.version.join(".")
    }

    /// Whether two tags are versions of one variant, and so can be compared.
    pub fn is_variant_of(&self, other: &TagPattern<'_>) -> bool {
        let is_date = |pattern: &TagPattern<'_>| pattern.version.first().is_some_and(|n| n.len() >= DATE_DIGITS);
        self.prefix == other.prefix
            && self.suffix == other.suffix
            && self.version.len() == other.version.len()
            && self.revision.is_some() == other.revision.is_some()
            && is_date(self) == is_date(other)
    }

    /// How far `newer` is behind this tag in time; none where it does not follow it. A finished version is never
    /// followed by one that is not.
    pub fn step_to(&self, newer: &TagPattern<'_>) -> Option<Step> {
        if !self.is_variant_of(newer) || (self.prerelease.is_none() && newer.prerelease.is_some()) {
            return None;
        }
        if self.compare(newer) != Ordering::Less {
            return None;
        }
        let differs = |(a, b): (&&str, &&str)| compare_numbers(a, b) != Ordering::Equal;
        Some(match self.version.iter().zip(&newer.version).position(differs) {
            Some(0) => Step::Major,
            Some(1) => Step::Minor,
            _ => Step::Patch,
        })
    }

    /// The order of two versions of one variant.
    pub fn compare(&self, other: &TagPattern<'_>) -> Ordering {
        let numbers = self.version.iter().zip(&other.version).map(|(a, b)| compare_numbers(a, b));
        let numbers = numbers.fold(Ordering::Equal, Ordering::then);
        let prerelease = match (&self.prerelease, &other.prerelease) {
            (Some((stage, number)), Some((other, other_number))) => {
                stage.cmp(other).then(compare_numbers(number, other_number))
            }
            // A finished version comes after all of its stages.
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        let revision = compare_numbers(self.revision.unwrap_or_default(), other.revision.unwrap_or_default());
        numbers.then(prerelease).then(revision)
    }
}

/// The tags that follow a tag, newest first, each with how far it is away.
pub fn newer<'t>(tag: &str, tags: impl IntoIterator<Item = &'t str>) -> Vec<(&'t str, Step)> {
    let Some(pattern) = TagPattern::parse(tag) else { return Vec::new() };
    let mut newer: Vec<(TagPattern<'t>, &'t str, Step)> = tags
        .into_iter()
        .filter_map(|tag| {
            let candidate = TagPattern::parse(tag)?;
            let step = pattern.step_to(&candidate)?;
            Some((candidate, tag, step))
        })
        .collect();
    // Texts that mean one version, `1.2` and `1.02`, need an order as well.
    newer.sort_by(|(a, a_tag, _), (b, b_tag, _)| b.compare(a).then(a_tag.cmp(b_tag)));
    newer.dedup_by(|(_, a, _), (_, b, _)| a == b);
    newer.into_iter().map(|(_, tag, step)| (tag, step)).collect()
}

/// The digits at the start, and what follows them.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `-rc1`, `beta.2` at the start, and what follows it.
fn prerelease(text: &str) -> (Option<(Stage, &str)>, &str) {
    let word = text.strip_prefix(['-', '.', '_']).unwrap_or(text);
    for (name, stage) in STAGES {
        let Some(rest) = word.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)) else { continue };
        let behind = &word[rest.len()..];
        let (number, rest) = match behind.strip_prefix(['.', '-']).map(digits) {
            Some((number, rest)) if !number.is_empty() => (number, rest),
            _ => digits(behind),
        };
        // `-preempt` is no `-pre`.
        if rest.is_empty() || rest.starts_with(['-', '.', '_']) {
            return (Some((*stage, number)), rest);
        }
    }
    (None, text)
}

/// What stands before a last `-r3`, and its number.
fn revision(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once("-r") {
        Some((before, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            (before, Some(number))
        }
        _ => (text, None),
    }
}

/// Compares numbers of any length; nothing is less than zero.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let strip = |number: &str| number.trim_start_matches('0').len();
    let (a_digits, b_digits) = (&a[a.len() - strip(a)..], &b[b.len() - strip(b)..]);
    (a_digits.len().cmp(&b_digits.len())).then(a_digits.cmp(b_digits)).then(a.is_empty().cmp(&b.is_empty()).reverse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_the_same_variant_follow() {
        let tags = [
            "1.97.1-slim-trixie",
            "1.97.2-slim-trixie",
            "1.98.0-slim-trixie",
            "2.0.0-slim-trixie",
            "1.98.0-slim-bookworm",
            "1.98-slim-trixie",
            "1.98.0",
            "1.99.0-rc1-slim-trixie",
            "1.96.9-slim-trixie",
            "1.100.0-slim-trixie",
            "slim-trixie",
            "latest",
        ];
        let found = newer("1.97.1-slim-trixie", tags);
        assert_eq!(
            found,
            [
                ("2.0.0-slim-trixie", Step::Major),
                ("1.100.0-slim-trixie", Step::Minor),
                ("1.98.0-slim-trixie", Step::Minor),
                ("1.97.2-slim-trixie", Step::Patch),
            ]
        );
        assert_eq!(newer("trixie-slim", tags), []);
        assert_eq!(newer("latest", tags), []);
    }

    #[test]
    fn stages_precede_the_finished_version_and_dates_are_no_versions() {
        let follows = |old: &str, new: &str| !newer(old, [new]).is_empty();
        assert!(follows("1.2.0-rc1", "1.2.0-rc2") && follows("1.2.0-rc.9", "1.2.0-rc.10"));
        assert!(follows("1.2.0-beta3-slim", "1.2.0-rc1-slim") && follows("1.2.0-rc2", "1.2.0"));
        assert!(!follows("1.2.0", "1.3.0-rc1") && !follows("1.2.0", "1.2.0-rc1"));
        assert!(!follows("3", "20240923") && follows("trixie-20251103-slim", "trixie-20251117-slim"));
        assert!(follows("1.2.3-debian-12-r4", "1.2.3-debian-12-r10") && follows("v1.9", "v1.10"));
        assert!(!follows("1.2-alpine3.19", "1.2-alpine3.20") && !follows("1.2", "v1.3"));
        assert!(!follows("1.2", "1.02") && follows("1", "99999999999999999999999999999999".get(..5).unwrap()));
    }
}
