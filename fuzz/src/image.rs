//! Names of all kinds, a line each: images, digests, platforms, layers.

use lamina::model::{Digest, ImageRef, LayerName, Platform, is_tag};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut last: Option<ImageRef> = None;
    for line in text.lines().take(8) {
        if let Ok((image, digest)) = ImageRef::parse_pinned(line) {
            for written in [image.to_string(), image.familiar()] {
                assert_eq!(written.parse().as_ref(), Ok(&image), "{line:?} is written {written:?}");
            }
            assert!(is_tag(image.tag()) && !image.short_name().contains('/'), "{line:?}");
            assert!(image.repository().ends_with(image.short_name()) && !image.registry().contains('/'), "{line:?}");
            match digest {
                Some(digest) => {
                    let pinned = format!("{image}@{digest}");
                    assert_eq!(ImageRef::parse_pinned(&pinned), Ok((image.clone(), Some(digest.clone()))));
                    assert_eq!(digest.short().len(), 12);
                }
                None => assert_eq!(line.parse().as_ref(), Ok(&image)),
            }
            if let Some(other) = &last {
                let moved = other.with_tag(image.tag()).expect("the tag of an image is a tag");
                assert_eq!((moved.registry(), moved.repository()), (other.registry(), other.repository()));
                assert_eq!(moved.to_string().parse().as_ref(), Ok(&moved));
            }
            last = Some(image);
        }
        if let Ok(digest) = line.parse::<Digest>() {
            assert_eq!((digest.to_string().as_str(), digest.as_str()), (line, line));
        }
        if let Ok(platform) = line.parse::<Platform>() {
            assert_eq!((platform.to_string().as_str(), platform.as_str()), (line, line));
        }
        if let Ok(name) = line.parse::<LayerName>() {
            assert_eq!((name.to_string().as_str(), name.as_str()), (line, line));
            assert!(line.len() <= 63 && is_tag(line), "{line:?}");
        }
        assert_eq!(is_tag(line), format!("a:{line}").parse::<ImageRef>().is_ok() && !line.contains(['/', ':', '@']));
    }
}
