//! Pins: what `lamina lock` and `lamina outdated` say of external images.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::lock::tag;
use crate::model::{Digest, LayerName};
use crate::report::pins::{self, PinState};

/// How the lock's pins are doing, and what was done about them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lock<'a> {
    /// The lock file.
    lock: &'a str,
    /// Whether `--check` was given, and so nothing was to be written.
    check: bool,
    /// Whether the registries were asked about images that are in the lock.
    online: bool,
    /// Whether the file was written.
    written: bool,
    /// The images, by name.
    images: Vec<Pin<'a>>,
}

/// Which external images are behind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outdated<'a> {
    /// The lock file.
    lock: &'a str,
    /// How many of the images are outdated.
    outdated: usize,
    /// The images, by name, also those that are not outdated.
    images: Vec<Pin<'a>>,
}

/// An external image, and how its pin is doing.
#[derive(Debug, Serialize, JsonSchema)]
struct Pin<'a> {
    /// The image as people write it.
    image: String,
    /// The image in full.
    reference: String,
    /// How its pin is doing.
    state: PinState,
    /// The digest in the lock, or the one that was there; null where there is none.
    digest: Option<&'a str>,
    /// What its tag stands for now; null where its registry was not asked, or gave no answer.
    now: Option<&'a str>,
    /// The tags that follow its tag by its own pattern, newest first.
    newer: Vec<Newer<'a>>,
    /// The layers that name it.
    layers: Vec<&'a str>,
    /// Why its registry gave no answer.
    error: Option<&'a str>,
}

/// A newer tag.
#[derive(Debug, Serialize, JsonSchema)]
struct Newer<'a> {
    /// The tag.
    tag: &'a str,
    /// How far it is away.
    step: Step,
}

/// How far a newer tag is away.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Step {
    /// The third number, or one behind it, differs first.
    Patch,
    /// The second number differs first.
    Minor,
    /// The first number differs.
    Major,
}

impl Answer for Lock<'_> {
    const NAME: &'static str = "lock";
}

impl Answer for Outdated<'_> {
    const NAME: &'static str = "outdated";
}

impl<'a> Lock<'a> {
    /// What was found, or done where `written` says so.
    pub fn new(lock: &'a str, check: bool, online: bool, written: bool, pins: &'a [pins::Pin<'a>]) -> Self {
        Self { lock, check, online, written, images: pins.iter().map(Pin::new).collect() }
    }
}

impl<'a> Outdated<'a> {
    /// All pins that were looked at.
    pub fn new(lock: &'a str, pins: &'a [pins::Pin<'a>]) -> Self {
        let outdated = pins.iter().filter(|pin| pin.is_outdated()).count();
        Self { lock, outdated, images: pins.iter().map(Pin::new).collect() }
    }
}

impl<'a> Pin<'a> {
    fn new(pin: &'a pins::Pin<'a>) -> Self {
        let added = pin.now.as_ref().filter(|_| pin.state == PinState::Added);
        Self {
            image: pin.image.familiar(),
            reference: pin.image.to_string(),
            state: pin.state,
            digest: pin.locked.or(added).map(Digest::as_str),
            now: pin.now.as_ref().map(Digest::as_str),
            newer: pin.newer.iter().map(|(tag, step)| Newer { tag, step: (*step).into() }).collect(),
            layers: pin.layers.iter().copied().map(LayerName::as_str).collect(),
            error: pin.error.as_deref(),
        }
    }
}

impl From<tag::Step> for Step {
    fn from(step: tag::Step) -> Self {
        match step {
            tag::Step::Patch => Step::Patch,
            tag::Step::Minor => Step::Minor,
            tag::Step::Major => Step::Major,
        }
    }
}
