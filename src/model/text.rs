//! Types that are texts to the outside: written as they are shown, read as they are typed.

/// Serialises a type by its `Display` and deserialises it by its `FromStr`, so that no text becomes a value of the
/// domain without having been checked.
macro_rules! as_text {
    ($($name:ty),* $(,)?) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(super::LayerName, super::ImageRef, super::Digest, super::Fingerprint, super::Platform);
