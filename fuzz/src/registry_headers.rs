//! Headers of registries: WWW-Authenticate, Link, Retry-After. Lines of the input are also put into headers that follow
//! the grammar, and have to come out of them.

use std::time::{Duration, SystemTime};

use lamina::registry::{Challenge, parse_challenges, parse_next_link, parse_retry_after};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines().take(4) {
        parse_challenges(line);
        if let Ok(Some(target)) = parse_next_link(line) {
            assert!(line.contains(&target) && !target.contains('>') && target.trim() == target, "{target:?}");
        }
        let (early, late) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 31));
        let (from_early, from_late) = (parse_retry_after(line, early), parse_retry_after(line, late));
        assert_eq!(from_early.is_some(), from_late.is_some(), "{line:?}");
        assert!(from_early >= from_late, "who asks later waits no longer: {line:?}");
    }
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default();
    challenges(next(), next());
    links(next(), next());
}

/// Values in quotes, whatever is in them.
fn challenges(realm: &str, service: &str) {
    let allowed = |text: &str| text.chars().filter(|c| matches!(c, ' '..='~')).collect::<String>();
    let (realm, service) = (allowed(realm), allowed(service));
    let header = format!("Basic realm=\"x\", bearer Service={}, realm={}", quoted(&service), quoted(&realm));
    let expected = [Challenge::Basic, Challenge::Bearer { realm, service: Some(service) }];
    assert_eq!(parse_challenges(&header), expected, "{header}");
}

/// A link behind others, and with parameters that look like what they are not.
fn links(target: &str, title: &str) {
    let target: String = target.trim().chars().filter(|c| !"<>".contains(*c)).collect();
    let target = target.trim();
    let title = quoted(title);
    let header = format!("<{target}>; rel=prev; title={title}, <{target}x>; x={title}; REL=\"first Next\"; y={title}");
    assert_eq!(parse_next_link(&header), Ok(Some(format!("{target}x"))), "{header}");
    let header = format!("<{target}>; rel=prev; title={title} ,, <{target}>; title=\"; rel=next\"");
    assert_eq!(parse_next_link(&header), Ok(None), "{header}");
}

/// A quoted-string of RFC 9110.
fn quoted(text: &str) -> String {
    let escaped: String =
        text.chars().flat_map(|c| "\"\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}
