//! The OCI distribution protocol, as far as reading needs it: what a tag stands for, and which tags there are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LINK};
use reqwest::{Method, StatusCode, Url};

use super::auth::{Auth, Purpose};
use super::error::{RegistryError, RegistryErrorKind, SetupError};
use super::headers::parse_next_link;
use super::options::Options;
use super::transport::{Answer, Request, Transport};
use super::wire::{self, shortened};
use super::{Manifest, Registry};
use crate::model::{Digest, ImageRef};

/// A manifest may have as many bytes as the distribution specification has registries accept at least.
const MANIFEST: Expected = Expected { accept: wire::ACCEPT, limit: 4 << 20 };
/// Some registries send all tags in one page.
const TAGS: Expected = Expected { accept: "application/json", limit: 32 << 20 };
/// The tags that a page is asked to have.
const PAGE: usize = 1000;
/// The most tags that a repository may have.
const MAX_TAGS: usize = 1_000_000;
/// The most pages that a list may have.
const MAX_PAGES: usize = 10_000;
/// The most pages in a row that bring no new tag.
const MAX_BARREN: usize = 10;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const DOCKER_HUB: &str = "docker.io";
/// Where Docker Hub's registry is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// All registries, each asked once: nothing is repeated here.
pub struct Client {
    transport: Transport,
    auth: Auth,
    mirrors: BTreeMap<String, Mirror>,
}

struct Mirror {
    host: String,
    /// Before the repository: empty, or with a slash at its end.
    prefix: String,
}

/// What an answer may look like.
struct Expected {
    /// Its media types.
    accept: &'static str,
    /// The most bytes that it may have.
    limit: usize,
}

/// Where an image is asked for.
struct Place {
    host: String,
    repository: String,
    /// The registry's address.
    base: Url,
}

impl Client {
    /// A client with an empty memory: no token, no login is read yet.
    ///
    /// # Errors
    /// When an option is wrong, or the system has no TLS.
    pub fn new(options: &Options) -> Result<Self, SetupError> {
        let transport = Transport::new(options)?;
        let mut mirrors = BTreeMap::new();
        for (registry, text) in &options.mirrors {
            let error = || SetupError::Mirror { registry: registry.clone(), mirror: text.clone() };
            let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
            let prefix = prefix.trim_end_matches('/');
            // It is the beginning of a repository, so it follows the grammar of one.
            let is_prefix = prefix.is_empty() || format!("localhost/{prefix}:tag").parse::<ImageRef>().is_ok();
            if transport.address(host).is_none() || !is_prefix {
                return Err(error());
            }
            let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
            mirrors.insert(registry.clone(), Mirror { host: host.to_owned(), prefix });
        }
        Ok(Self { transport, auth: Auth::new(options.logins.clone()), mirrors })
    }

    fn place(&self, image: &ImageRef) -> Result<Place, RegistryErrorKind> {
        let (host, prefix) = match self.mirrors.get(image.registry()) {
            Some(mirror) => (&*mirror.host, &*mirror.prefix),
            None => (image.registry(), ""),
        };
        let host = if host == DOCKER_HUB { DOCKER_HUB_HOST } else { host };
        let base = self.transport.address(host).ok_or_else(|| RegistryErrorKind::Unreachable {
            host: host.to_owned(),
            why: "this is no name of a host".to_owned(),
        })?;
        Ok(Place { host: host.to_owned(), repository: format!("{prefix}{}", image.repository()), base })
    }

    /// Asks at a place, with a login where one is wanted; a success is answered.
    async fn ask(
        &self,
        place: &Place,
        method: Method,
        url: Url,
        expected: &Expected,
    ) -> Result<Answer, RegistryErrorKind> {
        let Expected { accept, limit } = *expected;
        let purpose = Purpose { host: &place.host, base: &place.base, repository: &place.repository };
        let headers = &[(ACCEPT, accept)];
        let send = |authorization| {
            let (method, url) = (method.clone(), url.clone());
            self.transport.send(Request { method, url, headers, authorization, form: None, limit })
        };
        let known = self.auth.known(&self.transport, &purpose).await?;
        let mut tried = known.as_ref().map(|known| known.tried.clone());
        let mut answer = send(known.as_ref().map(|known| &known.header)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            let fresh = self.auth.answer(&self.transport, &purpose, &answer, known.as_ref()).await?;
            answer = send(Some(&fresh.header)).await?;
            tried = Some(fresh.tried);
        }
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RegistryErrorKind::Unauthorized {
                host: place.host.clone(),
                tried: tried.unwrap_or_else(|| "it refuses without asking for a login".to_owned()),
            }),
            _ => Err(answer.failure()),
        }
    }

    async fn head(&self, place: &Place, tag: &str) -> Result<Digest, RegistryErrorKind> {
        let url = place.url(&format!("manifests/{tag}"))?;
        let announced = match self.ask(place, Method::HEAD, url, &MANIFEST).await {
            Ok(answer) => announced(place, &answer)?,
            Err(RegistryErrorKind::Server { status: 405, .. }) => None,
            Err(error) => return Err(error),
        };
        match announced {
            Some(digest) => Ok(digest),
            None => Ok(self.get(place, tag).await?.digest),
        }
    }

    async fn get(&self, place: &Place, tag: &str) -> Result<Manifest, RegistryErrorKind> {
        let url = place.url(&format!("manifests/{tag}"))?;
        let answer = self.ask(place, Method::GET, url, &MANIFEST).await?;
        let received = wire::digest(&answer.body);
        if let Some(announced) = announced(place, &answer)?
            && announced != received
        {
            let why = format!("it announced {announced} and sent {received}");
            return Err(RegistryErrorKind::WrongDigest { host: place.host.clone(), why });
        }
        wire::parse_manifest(&answer.body, answer.header(CONTENT_TYPE)).map_err(|why| place.malformed(why.to_string()))
    }

    async fn list(&self, place: &Place) -> Result<Vec<String>, RegistryErrorKind> {
        let mut url = place.url(&format!("tags/list?n={PAGE}"))?;
        let mut tags = BTreeSet::new();
        let (mut seen, mut barren) = (HashSet::new(), 0);
        while seen.insert(url.clone()) {
            let answer = self.ask(place, Method::GET, url.clone(), &TAGS).await?;
            let page = wire::parse_tags(&answer.body).map_err(|why| place.malformed(why.to_string()))?;
            let before = tags.len();
            tags.extend(page);
            barren = if tags.len() > before { 0 } else { barren + 1 };
            let links = answer.headers.get_all(LINK).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            let links = links.map(|link| parse_next_link(&link)).collect::<Result<Vec<_>, _>>();
            let links = links.map_err(|why| place.malformed(why.to_string()))?;
            let Some(next) = links.into_iter().flatten().next() else {
                return Ok(tags.into_iter().collect());
            };
            if tags.len() > MAX_TAGS || seen.len() >= MAX_PAGES {
                return Err(place.malformed(format!("its list has more than {MAX_TAGS} tags or {MAX_PAGES} pages")));
            }
            if barren > MAX_BARREN {
                return Err(place.malformed(format!("{MAX_BARREN} pages of its list of tags brought no new tag")));
            }
            url = place.next(&url, &next)?;
        }
        Err(place.malformed("its list of tags goes in circles".to_owned()))
    }

    /// Does the asking, and says in an error for which image it was.
    async fn at<T, F: Future<Output = Result<T, RegistryErrorKind>>>(
        &self,
        image: &ImageRef,
        ask: impl FnOnce(Place) -> F,
    ) -> Result<T, RegistryError> {
        let error = |host: &str, kind| RegistryError { image: image.clone(), host: host.into(), kind };
        let place = self.place(image).map_err(|kind| error(image.registry(), kind))?;
        let host = place.host.clone();
        ask(place).await.map_err(|kind| error(&host, kind))
    }
}

impl Registry for Client {
    async fn digest(&self, image: &ImageRef) -> Result<Digest, RegistryError> {
        self.at(image, |place| async move { self.head(&place, image.tag()).await }).await
    }

    async fn manifest(&self, image: &ImageRef) -> Result<Manifest, RegistryError> {
        self.at(image, |place| async move { self.get(&place, image.tag()).await }).await
    }

    async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        self.at(image, |place| async move { self.list(&place).await }).await
    }
}

impl Place {
    fn url(&self, path: &str) -> Result<Url, RegistryErrorKind> {
        let url = self.base.join(&format!("v2/{}/{path}", self.repository));
        url.map_err(|error| self.malformed(format!("its address can't be written: {error}")))
    }

    /// The address of the next page: at this very host, and spoken to as before, whatever scheme the link has. Proxies
    /// that end TLS have registries behind them that don't know of it.
    fn next(&self, page: &Url, link: &str) -> Result<Url, RegistryErrorKind> {
        let target = page.join(link).ok();
        let target = target.filter(|target| target.host() == page.host() && target.port() == page.port());
        let Some(target) = target else {
            let why = format!("its list of tags goes on at `{}`, which is another place", shortened(link));
            return Err(self.malformed(why));
        };
        let mut url = page.clone();
        url.set_path(target.path());
        url.set_query(target.query());
        Ok(url)
    }

    fn malformed(&self, why: String) -> RegistryErrorKind {
        RegistryErrorKind::Malformed { host: self.host.clone(), why }
    }
}

/// The digest that an answer announces. One of another algorithm can't be pinned, and is refused rather than ignored.
fn announced(place: &Place, answer: &Answer) -> Result<Option<Digest>, RegistryErrorKind> {
    let Some(value) = answer.headers.get(DIGEST) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let digest = text.trim().parse();
    digest.map(Some).map_err(|_| place.malformed(format!("it announces the digest `{}`", shortened(&text))))
}
