//! How registries are asked: where, with which logins, how long and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::credentials::Logins;
use super::retry::RetryPolicy;
use crate::model::Catalog;

/// How registries are asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// By registry: the `HOST[:PORT][/PREFIX]` that is asked instead. There is no way back from a mirror to the
    /// registry itself: a pin must come from where the build pulls, and a mirror may hold other images by intent.
    pub mirrors: BTreeMap<String, String>,
    /// What is built here: `REGISTRY/NAMESPACE`. Below it the registry itself is asked, whatever mirrors there are: a
    /// mirror knows of a push later, or never.
    pub own: Option<String>,
    /// The hosts that are spoken to without TLS. No other host is, loopback included.
    pub plain_http: BTreeSet<String>,
    /// Files of certificate authorities in PEM, beside those of the system.
    pub authorities: Vec<PathBuf>,
    /// Where logins are found.
    pub logins: Logins,
    /// The time that a connection may take.
    pub connect_timeout: Duration,
    /// How long nothing may come of a request: until the first byte, from one to the next, and after what is sent. A
    /// large blob over a slow line takes its time, down to 4 KiB a second on average. The time that a request waits for
    /// its turn does not count.
    pub timeout: Duration,
    /// How many requests are under way at the same time, to all registries together; at least one.
    pub concurrency: usize,
    /// When and how often a request is repeated.
    pub retry: RetryPolicy,
}

impl Options {
    /// What a catalog says of registries, with the logins that the environment names.
    pub fn for_catalog(catalog: &Catalog, env: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            own: Some(format!("{}/{}", catalog.registry, catalog.namespace)),
            mirrors: catalog.mirrors.iter().map(|mirror| (mirror.registry.clone(), mirror.host.clone())).collect(),
            plain_http: catalog.plain_http.iter().cloned().collect(),
            logins: Logins::from_env(env),
            ..Self::default()
        }
    }
}

impl Default for Options {
    /// No mirrors, TLS everywhere, no logins; 10 s to connect, 30 s without a byte, 16 requests at a time.
    fn default() -> Self {
        Self {
            mirrors: BTreeMap::new(),
            own: None,
            plain_http: BTreeSet::new(),
            authorities: Vec::new(),
            logins: Logins::none(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            concurrency: 16,
            retry: RetryPolicy::default(),
        }
    }
}
