//! Where units are kept: the one place that decides on their references.
//!
//! All of a catalog lie in `REGISTRY/NAMESPACE/units`, because blobs are shared within a repository: a unit that two
//! layers have, or two versions of one, is there once. So the artifact of a layer is no referrer of its image, which
//! lies in a repository of its own; its tag says which image it is about.

use sha2::{Digest as _, Sha256};

use crate::model::{Digest, ImageError, ImageRef, LayerName};
use crate::unit::Environment;

/// The most characters of a project's name in a tag.
const MAX_NAME: usize = 80;

/// The units of a layer's image: `REGISTRY/NAMESPACE/units:LAYER-` and 20 digits of the image's digest. `own` is
/// `REGISTRY/NAMESPACE`.
///
/// # Errors
/// When that is no reference.
pub fn of_layer(own: &str, layer: &LayerName, image: &Digest) -> Result<ImageRef, ImageError> {
    let digits = image.as_str().trim_start_matches("sha256:");
    format!("{own}/units:{layer}-{}", &digits[..20]).parse()
}

/// The units that a project publishes itself: `REGISTRY/NAMESPACE/units:project-NAME-` and 20 digits for what must be
/// the same for any unit to be of use: compiler, flags, CARGO_HOME and what is built.
///
/// # Errors
/// When that is no reference.
pub fn of_project(
    own: &str,
    name: &str,
    environment: &Environment,
    arguments: &[String],
) -> Result<ImageRef, ImageError> {
    let Environment { rustc, cargo_home, rustflags, config, .. } = environment;
    let same = serde_json::json!([rustc, cargo_home, rustflags, config, arguments]).to_string();
    let digits: String = Sha256::digest(same).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().filter(is_plain).take(MAX_NAME).collect();
    format!("{own}/units:project-{name}-{digits}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_a_tag_for_each_image_and_a_project_one_for_each_environment() {
        let digest: Digest = format!("sha256:{}", "0123456789abcdef".repeat(4)).parse().unwrap();
        let layer = of_layer("localhost:5000/team/lamina", &"rust".parse().unwrap(), &digest).unwrap();
        assert_eq!(layer.to_string(), "localhost:5000/team/lamina/units:rust-0123456789abcdef0123");
        let of = |rustc: &str, argument: &str| {
            let environment = Environment { rustc: rustc.to_owned(), ..Environment::default() };
            of_project("localhost:5000/team", "my app/x", &environment, &[argument.to_owned()]).unwrap()
        };
        let tag = of("1", "build").tag().to_owned();
        assert_eq!(tag.len(), "project-myappx-".len() + 20);
        assert_eq!(of("1", "build").tag(), tag);
        assert_ne!(of("2", "build").tag(), tag);
        assert_ne!(of("1", "test").tag(), tag);
    }
}
