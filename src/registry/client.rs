//! The OCI distribution protocol: what a tag stands for, which tags there are, and content by its digest. What is
//! written is in `push`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LINK};
use reqwest::{Method, StatusCode, Url};

use super::auth::{Access, Auth, Purpose};
use super::error::{RegistryError, RegistryErrorKind, SetupError};
use super::headers::parse_next_link;
use super::options::Options;
use super::transport::{Answer, Body, Request, Transport};
use super::wire::{self, shortened};
use super::{Blob, Manifest, Pushed, RawManifest, Registry};
use crate::model::{Digest, ImageRef};

/// A manifest may have as many bytes as the distribution specification has registries accept at least.
pub(super) const MAX_MANIFEST: usize = 4 << 20;
/// Some registries send all of a list in one page.
const MAX_PAGE: usize = 32 << 20;
/// The entries that a page is asked to have.
const PAGE: usize = 1000;
/// The most entries that a list may have.
const MAX_ENTRIES: usize = 1_000_000;
/// The most pages that a list may have.
const MAX_PAGES: usize = 10_000;
/// The most pages in a row that bring nothing new.
const MAX_BARREN: usize = 10;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const DOCKER_HUB: &str = "docker.io";
/// Where Docker Hub's registry is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// All registries, each asked once: nothing is repeated here.
pub struct Client {
    pub(super) transport: Transport,
    auth: Auth,
    mirrors: BTreeMap<String, Mirror>,
    /// `REGISTRY/NAMESPACE/` of what is never asked of a mirror.
    own: Option<String>,
}

struct Mirror {
    host: String,
    /// Before the repository: empty, or with a slash at its end.
    prefix: String,
}

/// A request to a place, without what a login adds.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: &'a [(HeaderName, &'a str)],
    pub body: Body<'a>,
    /// The most bytes that the answer may have.
    pub limit: usize,
}

/// Where an image is asked for.
pub(super) struct Place {
    pub host: String,
    repository: String,
    /// The registry's address.
    pub base: Url,
    access: Access,
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
        let own = options.own.as_ref().map(|own| format!("{own}/"));
        Ok(Self { transport, auth: Auth::new(options.logins.clone()), mirrors, own })
    }

    /// Where an image is read, or written: a mirror is never written to.
    fn place(&self, image: &ImageRef, access: Access) -> Result<Place, RegistryErrorKind> {
        let is_own = || self.own.as_ref().is_some_and(|own| image.to_string().starts_with(own));
        let (host, prefix) = match self.mirrors.get(image.registry()) {
            Some(mirror) if access == Access::Pull && !is_own() => (&*mirror.host, &*mirror.prefix),
            _ => (image.registry(), ""),
        };
        let host = if host == DOCKER_HUB { DOCKER_HUB_HOST } else { host };
        let base = self.transport.address(host).ok_or_else(|| RegistryErrorKind::Unreachable {
            host: host.to_owned(),
            why: "this is no name of a host".to_owned(),
        })?;
        Ok(Place { host: host.to_owned(), repository: format!("{prefix}{}", image.repository()), base, access })
    }

    /// Asks at a place, with a login where one is wanted; a success is answered.
    pub(super) async fn ask(&self, place: &Place, ask: Ask<'_>) -> Result<Answer, RegistryErrorKind> {
        let Ask { headers, body, limit, .. } = ask;
        let Place { host, base, repository, access } = place;
        let purpose = Purpose { host, base, repository, access: *access };
        let send = |authorization| {
            let (method, url) = (ask.method.clone(), ask.url.clone());
            self.transport.send(Request { method, url, headers, authorization, body, limit })
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
        let headers = &[(ACCEPT, wire::ACCEPT)];
        let ask = Ask { method: Method::HEAD, url, headers, body: Body::None, limit: MAX_MANIFEST };
        let announced = match self.ask(place, ask).await {
            Ok(answer) => announced(place, &answer)?,
            Err(RegistryErrorKind::Server { status: 405, .. }) => None,
            Err(error) => return Err(error),
        };
        match announced {
            Some(digest) => Ok(digest),
            None => Ok(self.get(place, tag).await?.0.digest),
        }
    }

    async fn get(&self, place: &Place, reference: &str) -> Result<(Manifest, RawManifest), RegistryErrorKind> {
        let answer = self.fetch(place, &format!("manifests/{reference}"), wire::ACCEPT, MAX_MANIFEST).await?;
        let received = wire::digest(&answer.body);
        if let Some(announced) = announced(place, &answer)? {
            place.compare(&announced, &received)?;
        }
        let media_type = answer.header(CONTENT_TYPE);
        let malformed = |why: wire::WireError| place.malformed(why.to_string());
        let manifest = wire::parse_manifest(&answer.body, media_type).map_err(malformed)?;
        let media_type = wire::media_type(&answer.body, media_type).map_err(malformed)?;
        Ok((manifest, RawManifest { digest: received, media_type, bytes: answer.body }))
    }

    async fn fetch(&self, place: &Place, path: &str, accept: &str, limit: usize) -> Result<Answer, RegistryErrorKind> {
        let headers = &[(ACCEPT, accept)];
        let ask = Ask { method: Method::GET, url: place.url(path)?, headers, body: Body::None, limit };
        self.ask(place, ask).await
    }

    /// All pages of a list.
    async fn list(&self, place: &Place, list: List) -> Result<Vec<String>, RegistryErrorKind> {
        let List { mut url, what, parse } = list;
        let mut found = BTreeSet::new();
        let (mut seen, mut barren) = (HashSet::new(), 0);
        while seen.insert(url.clone()) {
            let headers = &[(ACCEPT, "application/json")];
            let (method, url_of_page) = (Method::GET, url.clone());
            let ask = Ask { method, url: url_of_page, headers, body: Body::None, limit: MAX_PAGE };
            let answer = self.ask(place, ask).await?;
            let page = parse(&answer.body).map_err(|why| place.malformed(why.to_string()))?;
            let before = found.len();
            found.extend(page);
            barren = if found.len() > before { 0 } else { barren + 1 };
            let links = answer.headers.get_all(LINK).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            let links = links.map(|link| parse_next_link(&link)).collect::<Result<Vec<_>, _>>();
            let links = links.map_err(|why| place.malformed(why.to_string()))?;
            let Some(next) = links.into_iter().flatten().next() else {
                return Ok(found.into_iter().collect());
            };
            if found.len() > MAX_ENTRIES || seen.len() >= MAX_PAGES {
                let why = format!("its list has more than {MAX_ENTRIES} {what} or {MAX_PAGES} pages");
                return Err(place.malformed(why));
            }
            if barren > MAX_BARREN {
                return Err(place.malformed(format!("{MAX_BARREN} pages of its list of {what} brought nothing new")));
            }
            url = place.next(&url, &next, what)?;
        }
        Err(place.malformed(format!("its list of {what} goes in circles")))
    }

    /// Does the asking, and says in an error for which image it was.
    async fn at<T, F: Future<Output = Result<T, RegistryErrorKind>>>(
        &self,
        image: &ImageRef,
        access: Access,
        ask: impl FnOnce(Place) -> F,
    ) -> Result<T, RegistryError> {
        let error = |host: &str, kind| RegistryError { image: image.clone(), host: host.into(), kind };
        let place = self.place(image, access).map_err(|kind| error(image.registry(), kind))?;
        let host = place.host.clone();
        ask(place).await.map_err(|kind| error(&host, kind))
    }
}

impl Registry for Client {
    async fn digest(&self, image: &ImageRef) -> Result<Digest, RegistryError> {
        self.at(image, Access::Pull, |place| async move { self.head(&place, image.tag()).await }).await
    }

    async fn manifest(&self, image: &ImageRef) -> Result<Manifest, RegistryError> {
        self.at(image, Access::Pull, |place| async move { Ok(self.get(&place, image.tag()).await?.0) }).await
    }

    async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        self.at(image, Access::Pull, |place| async move {
            let url = place.url(&format!("tags/list?n={PAGE}"))?;
            self.list(&place, List { url, what: "tags", parse: wire::parse_tags }).await
        })
        .await
    }

    async fn raw(&self, image: &ImageRef, digest: Option<&Digest>) -> Result<RawManifest, RegistryError> {
        let read = |place: Place| async move {
            let (_, raw) = self.get(&place, digest.map_or(image.tag(), Digest::as_str)).await?;
            digest.map_or(Ok(()), |asked| place.compare(asked, &raw.digest))?;
            Ok(raw)
        };
        self.at(image, Access::Pull, read).await
    }

    async fn blob(&self, image: &ImageRef, digest: &Digest, limit: usize) -> Result<Vec<u8>, RegistryError> {
        let read = |place: Place| async move {
            let answer = self.fetch(&place, &format!("blobs/{digest}"), "*/*", limit).await?;
            place.compare(digest, &wire::digest(&answer.body))?;
            Ok(answer.body)
        };
        self.at(image, Access::Pull, read).await
    }

    async fn push_blob(&self, image: &ImageRef, bytes: Vec<u8>) -> Result<Blob, RegistryError> {
        self.at(image, Access::Push, |place| async move { self.upload(&place, &bytes).await }).await
    }

    async fn push_manifest(&self, image: &ImageRef, media_type: &str, bytes: Vec<u8>) -> Result<Pushed, RegistryError> {
        let put = |place: Place| async move { self.put(&place, image.tag(), media_type, &bytes).await };
        self.at(image, Access::Push, put).await
    }

    async fn delete(&self, image: &ImageRef, digest: &Digest) -> Result<(), RegistryError> {
        let remove = |place: Place| async move {
            let url = place.url(&format!("manifests/{digest}"))?;
            let ask = Ask { method: Method::DELETE, url, headers: &[], body: Body::None, limit: MAX_MANIFEST };
            self.ask(&place, ask).await.map(drop)
        };
        self.at(image, Access::Delete, remove).await
    }

    async fn repositories(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        let all = |place: Place| async move {
            let url = place.base.join(&format!("v2/_catalog?n={PAGE}"));
            let url = url.map_err(|error| place.malformed(format!("its address can't be written: {error}")))?;
            self.list(&place, List { url, what: "repositories", parse: wire::parse_repositories }).await
        };
        self.at(image, Access::Catalog, all).await
    }
}

/// A list in pages.
struct List {
    /// The first page.
    url: Url,
    /// What is in it, for messages.
    what: &'static str,
    parse: fn(&[u8]) -> Result<Vec<String>, wire::WireError>,
}

impl Place {
    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryErrorKind> {
        let url = self.base.join(&format!("v2/{}/{path}", self.repository));
        url.map_err(|error| self.malformed(format!("its address can't be written: {error}")))
    }

    /// The address of the next page: at this very host, and spoken to as before, whatever scheme the link has. Proxies
    /// that end TLS have registries behind them that don't know of it.
    fn next(&self, page: &Url, link: &str, what: &str) -> Result<Url, RegistryErrorKind> {
        let target = page.join(link).ok();
        let target = target.filter(|target| target.host() == page.host() && target.port() == page.port());
        let Some(target) = target else {
            let why = format!("its list of {what} goes on at `{}`, which is another place", shortened(link));
            return Err(self.malformed(why));
        };
        let mut url = page.clone();
        url.set_path(target.path());
        url.set_query(target.query());
        Ok(url)
    }

    /// Refuses bytes that are not those of a digest.
    fn compare(&self, announced: &Digest, received: &Digest) -> Result<(), RegistryErrorKind> {
        if announced == received {
            return Ok(());
        }
        let why = format!("it announced {announced} and sent {received}");
        Err(RegistryErrorKind::WrongDigest { host: self.host.clone(), why })
    }

    pub(super) fn malformed(&self, why: String) -> RegistryErrorKind {
        RegistryErrorKind::Malformed { host: self.host.clone(), why }
    }
}

/// The digest that an answer announces. One of another algorithm can't be pinned, and is refused rather than ignored.
pub(super) fn announced(place: &Place, answer: &Answer) -> Result<Option<Digest>, RegistryErrorKind> {
    let Some(value) = answer.headers.get(DIGEST) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let digest = text.trim().parse();
    digest.map(Some).map_err(|_| place.malformed(format!("it announces the digest `{}`", shortened(&text))))
}
