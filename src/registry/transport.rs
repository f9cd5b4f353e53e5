//! One request and its answer: TLS, redirects, bounds. Knows nothing of registries, and adds no login by itself.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Method, StatusCode, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Semaphore;

use super::error::{RegistryErrorKind, SetupError};
use super::headers::parse_retry_after;
use super::options::Options;
use super::patience::{Progress, Upload};
use super::wire::shortened;

/// How often an answer may name another place.
const MAX_REDIRECTS: usize = 5;
/// The largest file of certificate authorities.
const MAX_AUTHORITIES: u64 = 4 << 20;

/// What sends all requests.
///
/// Reading the system's certificate authorities is most of what a client costs, and more than some questions to a
/// registry. So it is done when TLS is first spoken.
pub(super) struct Transport {
    without_tls: reqwest::Client,
    with_tls: OnceLock<Result<reqwest::Client, String>>,
    /// Besides those of the system.
    authorities: Vec<Certificate>,
    connect_timeout: Duration,
    /// The hosts that are spoken to without TLS, as `http://HOST:PORT/`.
    plain: Vec<Url>,
    turns: Semaphore,
    patience: Duration,
}

/// What is asked.
pub(super) struct Request<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: &'a [(HeaderName, &'a str)],
    pub authorization: Option<&'a HeaderValue>,
    pub body: Body<'a>,
    /// The most bytes that the body may have.
    pub limit: usize,
}

/// What goes along with a request.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// Nothing.
    None,
    /// The fields of a form, one of which is a login: it goes nowhere but where it was meant for.
    Form(&'a [(&'static str, &'a str)]),
    /// Content.
    Bytes(&'a [u8]),
}

/// What is answered.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Who answered: the host that was asked, or where it redirected to.
    pub url: Url,
    /// The body of a success.
    pub body: Vec<u8>,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self, SetupError> {
        // It fails when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authorities = Vec::new();
        for file in &options.authorities {
            let found = read_authorities(file).map_err(|why| SetupError::Authorities { file: file.clone(), why })?;
            authorities.extend(found);
        }
        let plain = options.plain_http.iter();
        let plain = plain.map(|host| address("http", host).ok_or_else(|| SetupError::PlainHttp(host.clone())));
        let connect_timeout = options.connect_timeout;
        let without_tls = builder(connect_timeout).tls_certs_only([]).build();
        Ok(Self {
            without_tls: without_tls.map_err(|error| SetupError::System(deepest(&error)))?,
            with_tls: OnceLock::new(),
            authorities,
            connect_timeout,
            plain: plain.collect::<Result<_, _>>()?,
            turns: Semaphore::new(options.concurrency.max(1)),
            patience: options.timeout,
        })
    }

    /// The client for an address.
    fn client(&self, url: &Url) -> Result<&reqwest::Client, RegistryErrorKind> {
        if url.scheme() == "http" && !is_proxied_by_tls() {
            return Ok(&self.without_tls);
        }
        let client = self.with_tls.get_or_init(|| {
            let builder = || builder(self.connect_timeout);
            // A system without any certificate authority can still use its own.
            let client = builder().tls_certs_merge(self.authorities.clone()).build();
            let client = client.or_else(|_| builder().tls_certs_only(self.authorities.clone()).build());
            client.map_err(|error| deepest(&error))
        });
        client.as_ref().map_err(|why| RegistryErrorKind::Tls { host: authority(url), why: why.clone() })
    }

    /// The address of a host, with the scheme that it is spoken to with.
    pub(super) fn address(&self, host: &str) -> Option<Url> {
        let plain = address("http", host)?;
        if self.is_plain(&plain) { Some(plain) } else { address("https", host) }
    }

    fn is_plain(&self, url: &Url) -> bool {
        self.plain.iter().any(|plain| plain.origin() == url.origin())
    }

    /// Refuses an address that a server named, where it is not as well protected as the server is.
    pub(super) fn check(&self, from: &Url, to: &Url) -> Result<(), RegistryErrorKind> {
        let why = match to.scheme() {
            "https" => None,
            "http" if from.scheme() == "http" && self.is_plain(to) => None,
            "http" => Some("which is not encrypted"),
            _ => Some("which is no web address"),
        };
        let why = why.or((!to.username().is_empty() || to.password().is_some()).then_some("with a login in it"));
        let Some(why) = why else { return Ok(()) };
        // Of an address with a login, nothing but the host is shown.
        let why = format!("it sends its clients to {}://{}, {why}", to.scheme(), shortened(&authority(to)));
        Err(RegistryErrorKind::Malformed { host: authority(from), why })
    }

    /// Sends a request, when its turn has come, and reads the answer.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answer, RegistryErrorKind> {
        // Nobody closes it; if somebody did, no bound is better than no answer.
        let _turn = self.turns.acquire().await.ok();
        let host = authority(&request.url);
        let progress = Arc::new(Progress::new());
        let answered = progress.wait(self.patience, self.follow(request, &progress)).await;
        answered.unwrap_or_else(|why| Err(RegistryErrorKind::Unreachable { host, why }))
    }

    /// Goes where the answers lead. A login stays with the host that it is for.
    async fn follow(&self, request: Request<'_>, progress: &Arc<Progress>) -> Result<Answer, RegistryErrorKind> {
        let Request { method, mut url, headers, mut authorization, body, limit } = request;
        let asked = authority(&url);
        for _ in 0..=MAX_REDIRECTS {
            let mut builder = self.client(&url)?.request(method.clone(), url.clone());
            builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(name, *value));
            builder = authorization.iter().fold(builder, |builder, login| builder.header(AUTHORIZATION, *login));
            builder = match body {
                Body::None => builder,
                Body::Form(fields) => builder.form(fields),
                Body::Bytes(bytes) => builder.body(reqwest::Body::wrap(Upload::new(bytes, progress))),
            };
            let response = builder.send().await.map_err(|error| failure(&url, &error))?;
            let status = response.status();
            let location = response.headers().get(LOCATION).filter(|_| is_redirect(status));
            let Some(location) = location else { return read_answer(response, &url, limit, progress).await };
            let malformed = |why: String| RegistryErrorKind::Malformed { host: authority(&url), why };
            // By the other redirects, a client would go on with GET.
            let keeps_method = matches!(status.as_u16(), 307 | 308) || [Method::GET, Method::HEAD].contains(&method);
            match body {
                Body::Form(_) => return Err(malformed("it redirects a login".to_owned())),
                _ if !keeps_method => return Err(malformed(format!("it redirects a {method} with status {status}"))),
                _ => {}
            }
            let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
            let to = url.join(&location);
            let to = to.map_err(|_| malformed(format!("it redirects to `{}`", shortened(&location))))?;
            self.check(&url, &to)?;
            if to.origin() != url.origin() {
                authorization = None;
            }
            url = to;
        }
        let why = format!("it redirects more than {MAX_REDIRECTS} times");
        Err(RegistryErrorKind::Malformed { host: asked, why })
    }
}

impl Answer {
    /// The text of a header, if it is one.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What a status means that is no success; of 401, the caller knows more.
    pub(super) fn failure(&self) -> RegistryErrorKind {
        let host = authority(&self.url);
        let retry_after = self.header(RETRY_AFTER).and_then(|text| parse_retry_after(text, SystemTime::now()));
        match self.status {
            StatusCode::NOT_FOUND => RegistryErrorKind::NotFound { host },
            StatusCode::TOO_MANY_REQUESTS => RegistryErrorKind::RateLimited { host, retry_after },
            status => RegistryErrorKind::Server { host, status: status.as_u16(), retry_after },
        }
    }
}

/// What both clients have in common.
fn builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("lamina/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(connect_timeout)
}

/// Whether the environment names a proxy for plain HTTP that is spoken to with TLS itself.
fn is_proxied_by_tls() -> bool {
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter().filter_map(std::env::var_os);
    proxies.into_iter().any(|proxy| proxy.as_encoded_bytes().starts_with(b"https:"))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Reads the body of a success; what else is in a failure is not of interest.
async fn read_answer(
    mut response: reqwest::Response,
    url: &Url,
    limit: usize,
    progress: &Progress,
) -> Result<Answer, RegistryErrorKind> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    if status.is_success() {
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(url, &error))? {
            if body.len() + chunk.len() > limit {
                let why = format!("it is larger than {limit} bytes");
                return Err(RegistryErrorKind::Malformed { host: authority(url), why });
            }
            progress.moved(chunk.len());
            body.extend_from_slice(&chunk);
        }
    }
    Ok(Answer { status, headers, url: url.clone(), body })
}

/// The host of an address, with its port where it has one.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The address of a host, which may have a port; nothing, where the text says anything else.
fn address(scheme: &str, host: &str) -> Option<Url> {
    let url: Url = format!("{scheme}://{host}/").parse().ok()?;
    (!host.contains(['/', '\\', '?', '#', '@']) && !host.ends_with(':')).then_some(url)
}

fn failure(url: &Url, error: &reqwest::Error) -> RegistryErrorKind {
    let host = authority(url);
    match tls_failure(error) {
        Some(rustls::Error::InvalidMessage(_)) => RegistryErrorKind::Tls {
            host,
            why: "it does not speak TLS; hosts that use plain HTTP are listed in the catalog's `plain_http`".to_owned(),
        },
        Some(failure) => RegistryErrorKind::Tls { host, why: failure.to_string() },
        None if error.is_timeout() => RegistryErrorKind::Unreachable { host, why: "no connection in time".to_owned() },
        None => RegistryErrorKind::Unreachable { host, why: deepest(error) },
    }
}

fn tls_failure<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The words of the first cause: the others only say that something failed.
fn deepest(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An I/O error leaves out what is directly in it.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The certificates of a file. Each is tried here: later, nobody knows which file it came from.
fn read_authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let mut pem = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_AUTHORITIES + 1).read_to_end(&mut pem));
    if read.map_err(|error| error.to_string())? as u64 > MAX_AUTHORITIES {
        return Err(format!("it is larger than {MAX_AUTHORITIES} bytes"));
    }
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())?;
        found.push(Certificate::from_der(&certificate).map_err(|error| deepest(&error))?);
    }
    match found.is_empty() {
        true => Err("it holds no certificate in PEM".to_owned()),
        false => Ok(found),
    }
}
