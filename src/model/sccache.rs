//! Where compiled crates are shared below the layers, by sccache.

use serde::{Deserialize, Serialize};

/// Where sccache keeps what it has compiled. No credentials: these are a secret of the builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sccache {
    /// A bucket of a server that speaks S3.
    S3 {
        /// The bucket.
        bucket: String,
        /// The server's address; Amazon's own where it is absent.
        endpoint: Option<String>,
        /// The region.
        region: Option<String>,
        /// What the names of objects begin with.
        prefix: Option<String>,
    },
    /// A Redis server.
    Redis {
        /// Its address: `redis://cache.example.com:6379`.
        endpoint: String,
        /// What keys begin with.
        prefix: Option<String>,
    },
    /// A server that speaks WebDAV.
    Webdav {
        /// Its address.
        endpoint: String,
        /// The folder on it.
        prefix: Option<String>,
    },
    /// A cache mount of the engine's.
    Local,
}

impl Sccache {
    /// Its settings, by the names that the catalog has for them.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        match self {
            Sccache::S3 { bucket, endpoint, region, prefix } => {
                let optional = [("endpoint", endpoint), ("region", region), ("prefix", prefix)];
                let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
                std::iter::once(("bucket", bucket.as_str())).chain(optional).collect()
            }
            Sccache::Redis { endpoint, prefix } | Sccache::Webdav { endpoint, prefix } => {
                let prefix = prefix.as_deref().map(|prefix| ("prefix", prefix));
                std::iter::once(("endpoint", endpoint.as_str())).chain(prefix).collect()
            }
            Sccache::Local => Vec::new(),
        }
    }
}
