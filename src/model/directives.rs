//! What a caller asks of one run.

use serde::{Deserialize, Serialize};

use super::{LayerName, NatsServers, Size};

/// What a caller asks of one run: a file of its own, which takes precedence over the command line. What is absent is not
/// asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// What caches are shared within, and events and hooks tell of.
    pub workspace: Option<String>,
    /// What is built.
    pub layers: DirectedLayers,
    /// Rows of the catalog's table of runners, in order of preference.
    pub runners: Vec<String>,
    /// What each build gets, whatever its layer declares.
    pub size: Option<Size>,
    /// The most layers at a time.
    pub jobs: Option<u64>,
    /// The registry that images are pushed to, and the path in it.
    pub registry: Option<(String, String)>,
    /// Who builds, as `--actor` takes it.
    pub actor: Option<String>,
    /// What becomes of the cache that a build would leave.
    pub disposition: Option<Disposing>,
    /// Where layer caches are.
    pub store: Option<Storing>,
    /// Which tags for people are moved, and when.
    pub promote: Option<Promoting>,
    /// The servers that events are told; empty for none.
    pub events: Option<NatsServers>,
    /// What their subjects begin with.
    pub prefix: Option<String>,
}

/// Which layers are built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectedLayers {
    /// Their names.
    pub names: Vec<LayerName>,
    /// All layers.
    pub all: bool,
    /// What has changed: layers, paths, external images.
    pub changed: Vec<String>,
    /// The git revision that fingerprints are compared with.
    pub since: Option<String>,
    /// Whether those that depend on them are added.
    pub dependents: Option<bool>,
    /// Conditions on them.
    pub only: Vec<String>,
}

impl DirectedLayers {
    /// Whether it is left to others which layers are built.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.all && self.changed.is_empty() && self.since.is_none()
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$word_meta])* $word,)* }

        impl $name {
            /// As the directives and the command line write it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$word => $text,)* }
            }
        }
    };
}

words!(
    /// What becomes of the cache that a build would leave.
    Disposing {
        /// It is written.
        Export = "export",
        /// It is not.
        Discard = "discard",
        /// It is written, and what was there before is put back where the layer fails.
        Rollback = "rollback",
    }
);

words!(
    /// Where layer caches are.
    Storing {
        /// In the registry of the images.
        Registry = "registry",
        /// Only in the engine itself.
        None = "none",
    }
);

words!(
    /// Which tags for people are moved, and when.
    Promoting {
        /// Those of each layer, as soon as it is proven.
        Each = "each",
        /// Those of all, when every layer is good.
        All = "all",
        /// None.
        None = "none",
    }
);
