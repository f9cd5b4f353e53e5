//! The sparse index of a registry of crates: a small file for each crate, with a line for each version.
//! See <https://doc.rust-lang.org/cargo/reference/registry-index.html>.

use reqwest::{Method, Url};

use super::error::{RegistryErrorKind, SetupError};
use super::options::Options;
use super::retry::Retry;
use super::transport::{Body, Request, Transport};

/// The index of crates.io.
pub const CRATES_IO: &str = "https://index.crates.io/";

/// The largest file is that of a crate with thousands of versions and features.
const MAX_FILE: usize = 16 << 20;

/// An index of crates. Nobody logs in there.
pub struct CrateIndex {
    transport: Retry<Transport>,
    base: Url,
}

impl CrateIndex {
    /// The index at an address; of the options those count that are about requests.
    ///
    /// # Errors
    /// When the address is none, or the system has no TLS.
    pub fn open(options: &Options, address: &str) -> Result<Self, SetupError> {
        let address = format!("{}/", address.trim_end_matches('/'));
        let base = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base =
            base.ok_or_else(|| SetupError::System(format!("`{address}` is no address of an index of crates")))?;
        Ok(Self { transport: Retry::new(Transport::new(options)?, options.retry.clone()), base })
    }

    /// The file of a crate; none where the index does not know it.
    ///
    /// # Errors
    /// When the index can't be asked, or its answer is too large.
    pub async fn file(&self, name: &str) -> Result<Option<Vec<u8>>, RegistryErrorKind> {
        let Some(path) = path(name) else { return Ok(None) };
        let Ok(url) = self.base.join(&path) else { return Ok(None) };
        let ask = || async {
            let request = Request {
                method: Method::GET,
                url: url.clone(),
                headers: &[],
                authorization: None,
                body: Body::None,
                limit: MAX_FILE,
            };
            let answer = self.transport.inner().send(request).await?;
            match answer.status.as_u16() {
                200 => Ok(Some(answer.body)),
                // What the index says of crates that it does not know.
                404 | 410 | 451 => Ok(None),
                _ => Err(answer.failure()),
            }
        };
        self.transport.repeat(ask).await
    }
}

/// Where the file of a crate lies; none for what is no crate's name.
fn path(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    Some(match name.len() {
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    })
}
