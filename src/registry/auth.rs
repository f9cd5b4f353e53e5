//! Who we are, for a registry that asks: Basic, or a token of its token service.
//!
//! The flows are those of the distribution project (`spec/auth/token.md`, `spec/auth/oauth.md`). The scope is always
//! `repository:NAME:pull`, with `push` where something is written, and never what a challenge says: a registry can't have
//! itself a token for more.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex as Gate;

use super::credentials::{Login, LoginKind, Logins};
use super::error::RegistryErrorKind;
use super::headers::{Challenge, parse_challenges};
use super::transport::{Answer, Body, Request, Transport, authority};
use super::wire::shortened;
use crate::host::secret::Secret;

/// The largest answer of a token service.
const MAX_TOKEN: usize = 256 << 10;
/// What a token without `expires_in` is good for, by the specification.
const DEFAULT_LIFE: u64 = 60;
/// No token is kept longer.
const MAX_LIFE: u64 = 3600;

/// What is known of logins: read once, and kept for as long as it is good.
pub(super) struct Auth {
    places: Logins,
    /// What each host asked for last.
    challenges: Mutex<HashMap<String, Challenge>>,
    logins: Shared<String, Option<Login>>,
    tokens: Shared<(String, String), Token>,
}

/// Values that many ask for at the same time, and one makes.
type Shared<K, V> = Mutex<HashMap<K, Arc<Gate<Option<V>>>>>;

/// Who is asked for what.
pub(super) struct Purpose<'a> {
    /// The host of the registry, with its port.
    pub host: &'a str,
    /// The registry's address.
    pub base: &'a Url,
    /// The repository there.
    pub repository: &'a str,
    /// What is to be done there.
    pub access: Access,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
    /// Removing.
    Delete,
    /// Asking which repositories there are.
    Catalog,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
    tried: String,
}

/// An `Authorization` header, and what it stands for in messages.
pub(super) struct Authorization {
    pub header: HeaderValue,
    pub tried: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<Value>,
}

impl Auth {
    pub(super) fn new(places: Logins) -> Self {
        Self { places, challenges: Mutex::default(), logins: Mutex::default(), tokens: Mutex::default() }
    }

    /// The header for a host that has asked before.
    pub(super) async fn known(
        &self,
        transport: &Transport,
        purpose: &Purpose<'_>,
    ) -> Result<Option<Authorization>, RegistryErrorKind> {
        let known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(purpose.host).cloned();
        match known {
            Some(challenge) => self.meet(transport, purpose, &challenge, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// The header that answers a 401, other than the one that was refused.
    pub(super) async fn answer(
        &self,
        transport: &Transport,
        purpose: &Purpose<'_>,
        refusal: &Answer,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, RegistryErrorKind> {
        let unauthorized =
            |tried: &str| RegistryErrorKind::Unauthorized { host: authority(&refusal.url), tried: tried.to_owned() };
        if refusal.url.origin() != purpose.base.origin() {
            return Err(unauthorized("it is another host, to which logins are not passed on"));
        }
        let asked = refusal.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut asked: Vec<Challenge> = asked.flat_map(parse_challenges).collect();
        asked.sort_by_key(|challenge| *challenge == Challenge::Basic);
        let Some(challenge) = asked.into_iter().next() else {
            return Err(unauthorized("it asks for neither Basic nor Bearer, and lamina knows no other way"));
        };
        let fresh = self.meet(transport, purpose, &challenge, refused).await?;
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(purpose.host.to_owned(), challenge);
        Ok(fresh)
    }

    async fn meet(
        &self,
        transport: &Transport,
        purpose: &Purpose<'_>,
        challenge: &Challenge,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, RegistryErrorKind> {
        let login = self.login(purpose.host).await?;
        let tried = match &login {
            Some(login) => format!("the login from {} was refused", login.source),
            None => match self.places.places() {
                places if places.is_empty() => "no login was tried".to_owned(),
                places => format!("there is no login for {} in {places}", purpose.host),
            },
        };
        match challenge {
            Challenge::Basic => {
                let unauthorized =
                    |tried: String| RegistryErrorKind::Unauthorized { host: purpose.host.to_owned(), tried };
                let header = match login.as_ref().map(|login| (&login.kind, &login.source)) {
                    Some((LoginKind::Password { user, password }, _)) => basic(user, password),
                    Some((LoginKind::Identity(_), source)) => {
                        let why = format!("it asks for a password, and {source} has an identity token");
                        return Err(unauthorized(why));
                    }
                    None => return Err(unauthorized(tried)),
                };
                match refused {
                    Some(refused) if refused.header == header => Err(unauthorized(tried)),
                    _ => Ok(Authorization { header, tried }),
                }
            }
            Challenge::Bearer { realm, service } => {
                let repository = purpose.repository;
                let scope = match purpose.access {
                    Access::Pull => format!("repository:{repository}:pull"),
                    Access::Push => format!("repository:{repository}:pull,push"),
                    Access::Delete => format!("repository:{repository}:pull,delete"),
                    Access::Catalog => "registry:catalog:*".to_owned(),
                };
                let gate = shared(&self.tokens, (purpose.host.to_owned(), scope.clone()));
                let mut kept = gate.lock().await;
                let good = kept.as_ref().filter(|token| token.until > Instant::now());
                let good = good.filter(|token| refused.is_none_or(|refused| refused.header != token.header));
                let token = match good {
                    Some(token) => token.clone(),
                    None => {
                        let wanted = Wanted { realm, service: service.as_deref(), scope: &scope, tried: &tried };
                        let token = wanted.fetch(transport, purpose, login.as_ref()).await?;
                        kept.insert(token).clone()
                    }
                };
                Ok(Authorization { header: token.header, tried: token.tried })
            }
        }
    }

    /// The login for a host. It is looked up once, on a thread that may wait for a helper.
    async fn login(&self, host: &str) -> Result<Option<Login>, RegistryErrorKind> {
        let gate = shared(&self.logins, host.to_owned());
        let mut kept = gate.lock().await;
        if let Some(known) = &*kept {
            return Ok(known.clone());
        }
        let failed = |why: String| RegistryErrorKind::Credentials { host: host.to_owned(), why };
        let (places, name) = (self.places.clone(), host.to_owned());
        let found = tokio::task::spawn_blocking(move || places.find(&name)).await;
        let found = found.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        Ok(kept.insert(found).clone())
    }
}

/// A token that is to be had from a token service.
struct Wanted<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scope: &'a str,
    tried: &'a str,
}

impl Wanted<'_> {
    async fn fetch(
        &self,
        transport: &Transport,
        purpose: &Purpose<'_>,
        login: Option<&Login>,
    ) -> Result<Token, RegistryErrorKind> {
        let malformed = |why: String| RegistryErrorKind::Malformed { host: purpose.host.to_owned(), why };
        let mut url: Url = self
            .realm
            .parse()
            .map_err(|_| malformed(format!("its token service is `{}`, which is no address", shortened(self.realm))))?;
        transport.check(purpose.base, &url)?;
        let service = self.service.map(|service| ("service", service));
        let asked_for = service.into_iter().chain([("scope", self.scope)]);
        let accept = &[(ACCEPT, "application/json")];
        let answer = match login.map(|login| &login.kind) {
            Some(LoginKind::Identity(token)) => {
                let grant =
                    [("grant_type", "refresh_token"), ("client_id", "lamina"), ("refresh_token", token.expose())];
                let form: Vec<_> = grant.into_iter().chain(asked_for).collect();
                let (method, body) = (Method::POST, Body::Form(&form));
                let request = Request { method, url, headers: accept, authorization: None, body, limit: MAX_TOKEN };
                transport.send(request).await?
            }
            login => {
                url.query_pairs_mut().extend_pairs(asked_for);
                let header = match login {
                    Some(LoginKind::Password { user, password }) => Some(basic(user, password)),
                    _ => None,
                };
                let (method, authorization) = (Method::GET, header.as_ref());
                let request =
                    Request { method, url, headers: accept, authorization, body: Body::None, limit: MAX_TOKEN };
                transport.send(request).await?
            }
        };
        let host = authority(&answer.url);
        match answer.status {
            StatusCode::OK => {}
            // OAuth 2 says 400 of a refresh token that is not good any more.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(RegistryErrorKind::Unauthorized { host, tried: self.tried.to_owned() });
            }
            StatusCode::NOT_FOUND => {
                return Err(malformed(format!("its token service at {host} does not exist (status 404)")));
            }
            _ => return Err(answer.failure()),
        }
        let useless = || RegistryErrorKind::Malformed {
            host: host.clone(),
            why: "it is a token service and sent no token".to_owned(),
        };
        let read: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| useless())?;
        let text = read.token.or(read.access_token).filter(|text| !text.is_empty()).ok_or_else(&useless)?;
        let header = sensitive(format!("Bearer {text}")).ok_or_else(&useless)?;
        let life = read.expires_in.and_then(|seconds| seconds.as_u64()).unwrap_or(DEFAULT_LIFE).min(MAX_LIFE);
        let tried = match login {
            Some(login) => {
                format!("its token service gave a token for the login from {}, and it refused it", login.source)
            }
            None => format!("{}, and it refused the token that its token service gives to everybody", self.tried),
        };
        Ok(Token { header, until: Instant::now() + Duration::from_secs(life), tried })
    }
}

/// The place of a value that is made once for all who ask.
fn shared<K: Hash + Eq, V>(all: &Shared<K, V>, key: K) -> Arc<Gate<Option<V>>> {
    all.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
}

fn basic(user: &Secret, password: &Secret) -> HeaderValue {
    let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
    sensitive(format!("Basic {pair}")).expect("base64 is fit for a header")
}

/// A header that no log shows; nothing, where the text is not fit for one.
fn sensitive(text: String) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
