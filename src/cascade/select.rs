//! Which of the stale layers are wanted. The same selection applies to the list and to the schedule.

use std::str::FromStr;

use globset::{Glob, GlobMatcher};

use crate::model::{Class, Layer, nearest};

/// A selection among stale layers.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Leave out the layers that changed themselves.
    pub dependents_only: bool,
    /// Leave out layers that are further from a change than so many edges.
    pub max_distance: Option<usize>,
    /// Leave out layers that match none of these; all where it is empty.
    pub only: Vec<Only>,
}

/// A condition on layers: `class=CLASS` or `name=GLOB`.
#[derive(Clone, Debug)]
pub enum Only {
    /// The layer's class.
    Class(Class),
    /// A glob for its name.
    Name(GlobMatcher),
}

/// A text that is no condition.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{text}` is no condition: {why}")]
pub struct OnlyError {
    text: String,
    why: String,
}

impl Selection {
    /// Whether a layer at this distance from the nearest change is wanted.
    pub fn matches(&self, layer: &Layer, distance: usize) -> bool {
        let wanted = |only: &Only| match only {
            Only::Class(class) => layer.class == *class,
            Only::Name(glob) => glob.is_match(layer.name.as_str()),
        };
        !(self.dependents_only && distance == 0)
            && self.max_distance.is_none_or(|max| distance <= max)
            && (self.only.is_empty() || self.only.iter().any(wanted))
    }
}

impl FromStr for Only {
    type Err = OnlyError;

    fn from_str(text: &str) -> Result<Self, OnlyError> {
        let error = |why: String| OnlyError { text: text.to_owned(), why };
        match text.split_once('=') {
            Some(("class", class)) => {
                let known = Class::ALL.into_iter().find(|known| known.as_str() == class);
                known.map(Only::Class).ok_or_else(|| {
                    let near = nearest(class, Class::ALL.iter().map(|class| class.as_str()));
                    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    error(format!("classes are toolchain, source-dep and native-dep{hint}"))
                })
            }
            Some(("name", glob)) => {
                Glob::new(glob).map(|glob| Only::Name(glob.compile_matcher())).map_err(|e| error(e.to_string()))
            }
            _ => Err(error("write class=CLASS or name=GLOB".to_owned())),
        }
    }
}
