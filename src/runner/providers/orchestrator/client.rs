//! Asking an orchestrator: one request and its answer, with bounds; repeated where that may help.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use crate::engine::Environment;
use crate::host::secret::Secret;
use crate::registry::parse_retry_after;
use crate::runner::ProviderError;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The longest text of an answer that is shown, in characters.
const MAX_SHOWN: usize = 300;
/// The longest address and the longest variable's value, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// How long and how often an orchestrator is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The time that one request has.
    pub request: Duration,
    /// How often it is made, where it fails in a way that may pass.
    pub attempts: u32,
    /// The wait before the second one; it doubles from there on, and a random part of up to a half is left out.
    pub first_wait: Duration,
    /// The longest wait, also where the orchestrator asks for more.
    pub longest_wait: Duration,
}

impl Default for Patience {
    /// Four requests of 30 s each, after half a second, one and two; at most 20 s in between.
    fn default() -> Self {
        let (request, longest_wait) = (Duration::from_secs(30), Duration::from_secs(20));
        Self { request, attempts: 4, first_wait: Duration::from_millis(500), longest_wait }
    }
}

/// An orchestrator at its address.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<Secret>,
    pub patience: Patience,
}

/// An answer that is no failure.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

impl Client {
    /// Nothing is asked yet. The token is the value of a variable.
    ///
    /// # Errors
    /// When the address can't be used, or the token is not there.
    pub fn new(
        url: &str,
        token_env: Option<&str>,
        env: &Environment,
        plain_http: &[String],
    ) -> Result<Self, ProviderError> {
        // It fails when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = address(url, plain_http)?;
        let token = match token_env {
            None => None,
            Some(name) => {
                let value = env.text(name).map(str::trim).filter(|value| !value.is_empty());
                let usable =
                    value.filter(|value| value.len() <= MAX_TEXT && value.bytes().all(|b| b.is_ascii_graphic()));
                let Some(value) = usable else {
                    let what = if value.is_some() { "holds no token" } else { "is not set" };
                    let error = ProviderError::lasting(format!("the variable {name} {what}"));
                    return Err(
                        error.hint(format!("set {name} to the orchestrator's token (`token_env` of the runner)"))
                    );
                };
                Some(Secret::new(value))
            }
        };
        let builder = reqwest::Client::builder()
            .user_agent(concat!("lamina/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(10));
        // Reading the system's certificates takes longer than most questions.
        let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| ProviderError::lasting(format!("TLS can't be spoken: {error}")))?;
        Ok(Self { http, url, token, patience: Patience::default() })
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.url)
    }

    /// The address below that of the service.
    pub fn at(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Asks, again where that may help; each request is the same. Statuses of `accepted` are answers, all others that
    /// are no success are errors.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal.
    pub async fn ask(
        &self,
        method: Method,
        url: &Url,
        key: Option<&str>,
        body: Option<&impl Serialize>,
        accepted: &[u16],
    ) -> Result<Answer, ProviderError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| ProviderError::lasting(format!("the question can't be written: {error}")))?;
        let mut attempt = 1;
        loop {
            let asked = self.once(method.clone(), url, key, body.clone());
            let late = |_| Failure::again(format!("no answer in {} s", self.patience.request.as_secs_f32()));
            let failure = match timeout(self.patience.request, asked).await.map_err(late).and_then(|answer| answer) {
                Ok(answer) => match self.judge(answer, accepted) {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if failure.again.is_none() || attempt >= self.patience.attempts {
                let what = format!("{method} {} of the orchestrator at {}", url.path(), self.host());
                let error = format!("{what}: {}", self.masked(&failure.message));
                let error = ProviderError {
                    message: error,
                    hints: failure.hints,
                    passing: failure.again.is_some(),
                    full: failure.full,
                };
                return Err(error);
            }
            sleep(self.wait(attempt).max(failure.again.flatten().unwrap_or_default()).min(self.patience.longest_wait))
                .await;
            attempt += 1;
        }
    }

    /// The wait after an attempt.
    fn wait(&self, attempt: u32) -> Duration {
        let full = self.patience.first_wait.saturating_mul(2u32.saturating_pow(attempt - 1));
        full.min(self.patience.longest_wait).mul_f64(1.0 - fastrand::f64() / 2.0)
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        key: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.request(method, url.clone()).header(ACCEPT, "application/json");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| Failure::for_good("the token can't be sent"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|error| Failure::again(cause(&error)))?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failure::again(cause(&error)))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::for_good(format!("the answer is larger than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body, retry_after })
    }

    fn judge(&self, answer: Answer, accepted: &[u16]) -> Result<Answer, Failure> {
        let status = answer.status;
        if status.is_success() || accepted.contains(&status.as_u16()) {
            return Ok(answer);
        }
        let said = said(&answer.body).map(|said| format!(": {said}")).unwrap_or_default();
        let message = format!("status {}{said}", status.as_u16());
        Err(match status.as_u16() {
            401 | 403 => Failure {
                hints: vec!["`token_env` of the runner names the variable with the orchestrator's token".to_owned()],
                ..Failure::for_good(message)
            },
            429 => Failure { again: Some(answer.retry_after), full: true, ..Failure::again(message) },
            408 | 425 | 500 | 502 | 503 | 504 => Failure { again: Some(answer.retry_after), ..Failure::again(message) },
            _ => Failure::for_good(message),
        })
    }

    /// The host, with its port where it has one.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// A text without the token: an orchestrator may repeat what it was sent.
    pub fn masked(&self, text: &str) -> String {
        match &self.token {
            Some(token) => text.replace(token.expose(), "***"),
            None => text.to_owned(),
        }
    }
}

/// Why a request came to nothing.
struct Failure {
    message: String,
    hints: Vec<String>,
    /// Whether another one may do better, and how long is to be waited before.
    again: Option<Option<Duration>>,
    /// Whether there is no room now.
    full: bool,
}

impl Failure {
    fn again(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), again: Some(None), full: false }
    }

    fn for_good(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), again: None, full: false }
    }
}

/// The words of the first cause: the others only say that something failed, and name the whole address.
fn cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

/// What an answer says of itself: `error`, or `message`, of a JSON object.
fn said(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = ["error", "message", "detail"].iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned))?;
    Some(shown(&text)).filter(|text| !text.is_empty())
}

/// A line of a bearable length, without control characters.
pub(super) fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

/// The service's address. Without TLS, it is on this machine, or the catalog says that its host is to be spoken to so.
fn address(text: &str, plain_http: &[String]) -> Result<Url, ProviderError> {
    let wrong = |why: &str| {
        let error = ProviderError::lasting(format!("the orchestrator's address {why}"));
        error.hint("`url` of the runner looks like https://runners.example.com")
    };
    let url: Url = text.parse().ok().filter(|_| text.len() <= MAX_TEXT).ok_or_else(|| wrong("is no web address"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("holds more than scheme, host and path: a token is named by `token_env`"));
    }
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) || plain_http.contains(&authority) => Ok(url),
        "http" => Err(wrong("is not encrypted").hint("or list its host in the catalog's `plain_http`")),
        _ => Err(wrong("is no web address")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
