//! Writing, by the OCI distribution specification 1.1: content in one piece, and manifests by tag.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LOCATION};
use reqwest::{Method, Url};

use super::client::{Ask, Client, MAX_MANIFEST, Place, announced};
use super::error::RegistryErrorKind;
use super::transport::{Answer, Body, Request, authority};
use super::wire::{self, shortened};
use super::{Blob, Pushed};
use crate::model::Digest;

/// What an answer to a write may have; nobody reads it.
const MAX_ANSWER: usize = 64 << 10;
/// The header that says that a manifest is listed among the referrers of its subject.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const CONTENT: &[(HeaderName, &str)] = &[(CONTENT_TYPE, "application/octet-stream")];

impl Client {
    /// Puts content where it is not there yet.
    pub(super) async fn upload(&self, place: &Place, bytes: &[u8]) -> Result<Blob, RegistryErrorKind> {
        let digest = wire::digest(bytes);
        let blob = place.url(&format!("blobs/{digest}"))?;
        match self.ask(place, ask(Method::HEAD, blob, &[(ACCEPT, "*/*")], Body::None)).await {
            Ok(_) => return Ok(Blob { digest, is_new: false }),
            // Some registries do not know HEAD; then it is put a second time.
            Err(RegistryErrorKind::NotFound { .. } | RegistryErrorKind::Server { status: 405, .. }) => {}
            Err(error) => return Err(error),
        }
        let begin = ask(Method::POST, place.url("blobs/uploads/")?, &[], Body::Bytes(&[]));
        let begun = self.ask(place, begin).await?;
        let (mut url, is_own) = self.location(place, &begun)?;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let answer = match is_own {
            true => self.ask(place, ask(Method::PUT, url, CONTENT, Body::Bytes(bytes))).await?,
            // A login is for its own host alone; another one knows by the address that the upload is allowed.
            false => {
                let (method, body) = (Method::PUT, Body::Bytes(bytes));
                let request = Request { method, url, headers: CONTENT, authorization: None, body, limit: MAX_ANSWER };
                let answer = self.transport.send(request).await?;
                if !answer.status.is_success() {
                    return Err(answer.failure());
                }
                answer
            }
        };
        taken(place, &answer, &digest)?;
        Ok(Blob { digest, is_new: true })
    }

    /// Puts a manifest under a tag.
    pub(super) async fn put(
        &self,
        place: &Place,
        tag: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Pushed, RegistryErrorKind> {
        let digest = wire::digest(bytes);
        if bytes.len() > MAX_MANIFEST {
            return Err(place.malformed(format!("no registry takes a manifest of more than {MAX_MANIFEST} bytes")));
        }
        let url = place.url(&format!("manifests/{tag}"))?;
        let headers = &[(CONTENT_TYPE, media_type)];
        let answer = self.ask(place, ask(Method::PUT, url, headers, Body::Bytes(bytes))).await?;
        taken(place, &answer, &digest)?;
        Ok(Pushed { digest, lists_subject: answer.headers.contains_key(SUBJECT) })
    }

    /// Where an upload goes on, and whether that is the registry itself. Then it is spoken to as before, whatever scheme
    /// the address has: proxies that end TLS have registries behind them that don't know of it.
    fn location(&self, place: &Place, begun: &Answer) -> Result<(Url, bool), RegistryErrorKind> {
        let text = begun.header(LOCATION);
        let text = text.ok_or_else(|| place.malformed("it does not say where an upload goes on".to_owned()))?;
        let to = begun.url.join(text);
        let to = to.map_err(|_| place.malformed(format!("an upload goes on at `{}`", shortened(text))))?;
        if authority(&to) == authority(&place.base) {
            let mut url = place.base.clone();
            url.set_path(to.path());
            url.set_query(to.query());
            return Ok((url, true));
        }
        self.transport.check(&begun.url, &to)?;
        Ok((to, false))
    }
}

fn ask<'a>(method: Method, url: Url, headers: &'a [(HeaderName, &'a str)], body: Body<'a>) -> Ask<'a> {
    Ask { method, url, headers, body, limit: MAX_ANSWER }
}

/// Refuses a registry that says that it took something else than what was sent.
fn taken(place: &Place, answer: &Answer, sent: &Digest) -> Result<(), RegistryErrorKind> {
    match announced(place, answer)? {
        Some(announced) if announced != *sent => {
            let why = format!("it was sent {sent} and says that it has {announced}");
            Err(RegistryErrorKind::WrongDigest { host: place.host.clone(), why })
        }
        _ => Ok(()),
    }
}
