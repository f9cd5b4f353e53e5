//! The headers that registries send beside their answers. Pure functions over texts that nobody vouches for.

use std::time::{Duration, SystemTime};

use super::wire::{WireError, shortened};

/// What may stand between the links of a header.
const SEPARATORS: [char; 3] = [' ', '\t', ','];

/// What a server asks for before it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password.
    Basic,
    /// A token of a token service.
    Bearer {
        /// The service's address, as written.
        realm: String,
        /// The name by which the service knows the registry.
        service: Option<String>,
    },
}

/// Reads a `WWW-Authenticate` header (RFC 7235). Schemes other than Basic and Bearer are left out, and so is all that
/// follows a part that can't be read.
pub fn parse_challenges(text: &str) -> Vec<Challenge> {
    let known = |challenge: http_auth::ChallengeRef<'_>| {
        let param = |name: &str| {
            let mut params = challenge.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            params.next().map(|(_, value)| value.to_unescaped())
        };
        match challenge.scheme {
            scheme if scheme.eq_ignore_ascii_case("basic") => Some(Challenge::Basic),
            scheme if scheme.eq_ignore_ascii_case("bearer") => {
                Some(Challenge::Bearer { realm: param("realm")?, service: param("service") })
            }
            _ => None,
        }
    };
    http_auth::ChallengeParser::new(text).map_while(Result::ok).filter_map(known).collect()
}

/// Reads a `Link` header and returns the target of the link with `rel=next`, as written, if there is one.
///
/// This is the algorithm of RFC 8288, appendix B.2. Of the two crates for it, parse_link_header 0.4 cuts addresses at
/// commas and refuses queries without `=`, and nom-rfc8288 0.4 brings three more crates for this one header.
///
/// # Errors
/// When it can't be read. A list that goes on nobody knows where must not be taken for a whole one.
pub fn parse_next_link(text: &str) -> Result<Option<String>, WireError> {
    let mut rest = text.trim_start_matches(SEPARATORS);
    while !rest.is_empty() {
        let link = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (target, params) = link.ok_or_else(|| WireError(format!("its Link header is `{}`", shortened(text))))?;
        let end = unquoted(params, ',').unwrap_or(params.len());
        let mut left = &params[..end];
        while let Some(start) = unquoted(left, ';') {
            left = &left[start + 1..];
            let param = &left[..unquoted(left, ';').unwrap_or(left.len())];
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            let is_rel = name.trim().eq_ignore_ascii_case("rel");
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            if is_rel && relations.any(|relation| relation.eq_ignore_ascii_case("next")) {
                return Ok(Some(target.trim().to_owned()));
            }
        }
        rest = params[end..].trim_start_matches(SEPARATORS);
    }
    Ok(None)
}

/// Where a character stands outside of quotes.
fn unquoted(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().find_map(|(at, character)| {
        let found = !quoted && character == wanted;
        quoted ^= character == '"' && !escaped;
        escaped = quoted && character == '\\' && !escaped;
        found.then_some(at)
    })
}

/// Reads a `Retry-After` header (RFC 9110): seconds, or a date. A number beyond all bounds is the longest time there
/// is, a date that has passed is no time at all; what is neither number nor date is nothing.
pub fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}
