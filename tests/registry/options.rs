//! Where images are asked for, and options that can't be right.

use lamina::registry::{self, Options, SetupError};

use crate::common::{digest, good, image, manifest, plain, served, truth};
use crate::server::{Reply, Server};

#[test]
fn a_mirror_may_have_a_prefix_and_is_the_only_one_asked() {
    let server = Server::start(|seen, _| match &*seen.target {
        "/v2/hub/cache/library/debian/manifests/trixie" => served(good()),
        _ => Reply::new(404, ""),
    });
    let origin = Server::start(|_, _| served(good()));
    let mut options = plain(&[&server.host, &origin.host]);
    options.mirrors.insert("docker.io".to_owned(), format!("{}/hub/cache", server.host));
    options.mirrors.insert(origin.host.clone(), server.host.clone());
    assert_eq!(digest(&options, &"debian:trixie".parse().unwrap()).unwrap(), truth().digest);
    // A mirror that does not have an image does not send lamina to the registry itself.
    let error = manifest(&options, &image(&origin.host, "a/b:1")).unwrap_err();
    assert_eq!(*error.host, *server.host);
    assert_eq!(error.to_string(), format!("{}/a/b:1: {} has no such image", origin.host, server.host));
    assert!(origin.asked().is_empty());
}

#[test]
fn docker_hub_is_asked_at_its_registry() {
    let mut options = plain(&[]);
    // Whatever the network of this machine: nobody is there.
    options.mirrors.insert("docker.io".to_owned(), "127.0.0.1:1".to_owned());
    let error = manifest(&options, &"debian:trixie".parse().unwrap()).unwrap_err();
    assert_eq!((&*error.host, error.image.familiar()), ("127.0.0.1:1", "debian:trixie".to_owned()));
    assert!(error.to_string().starts_with("debian:trixie: 127.0.0.1:1 can't be reached: "), "{error}");
}

#[test]
fn a_host_that_is_none_is_named() {
    for host in ["a:b", "[::1", "x:99999", "1.2.3.4.5"] {
        let image = image(host, "a:1");
        let error = manifest(&plain(&[]), &image).unwrap_err();
        assert_eq!(error.to_string(), format!("{image}: {host} can't be reached: this is no name of a host"));
    }
}

#[test]
fn mirrors_and_plain_hosts_are_checked_at_the_door() {
    for mirror in ["", "https://a.b", "a.b:x", "me:secret@a.b", "a.b/c?d", "a.b/../c", "a.b/c d", "a.b//c#d", "a b"] {
        let options = Options { mirrors: [("docker.io".to_owned(), mirror.to_owned())].into(), ..plain(&[]) };
        let Err(error) = registry::open(&options) else { panic!("{mirror} is taken") };
        assert!(matches!(error, SetupError::Mirror { .. }));
        assert_eq!(
            error.to_string(),
            format!("the mirror `{mirror}` of docker.io is no host: write HOST[:PORT][/PREFIX], without https://")
        );
    }
    for mirror in ["a.b", "a.b/", "a.b:5000/c/d", "[::1]:5000", "localhost"] {
        let options = Options { mirrors: [("docker.io".to_owned(), mirror.to_owned())].into(), ..plain(&[]) };
        assert!(registry::open(&options).is_ok(), "{mirror}");
    }
    for host in ["http://a.b", "a.b/c", "", "me@a.b"] {
        let Err(error) = registry::open(&plain(&[host])) else { panic!("{host} is taken") };
        assert_eq!(error.to_string(), format!("`{host}` in plain_http is no host: write HOST[:PORT], without http://"));
    }
}

#[test]
fn a_catalog_says_how_registries_are_asked() {
    let catalog = lamina::model::Catalog {
        name: "test".to_owned(),
        rust_version: "1".to_owned(),
        debian_release: "trixie".to_owned(),
        registry: "example.com".to_owned(),
        namespace: "n".to_owned(),
        platforms: vec![],
        mirrors: vec![lamina::model::Mirror { registry: "docker.io".to_owned(), host: "a.b/c".to_owned() }],
        plain_http: vec!["a.b".to_owned()],
        ignored: vec![],
        runners: Vec::new(),
        tiers: Vec::new(),
        events: Default::default(),
        granted: std::collections::BTreeMap::new(),
        sccache: None,
        cache_version: 1,
    };
    let options = Options::for_catalog(&catalog, |name| (name == "HOME").then(|| "/home/me".into()));
    assert_eq!(options.mirrors, [("docker.io".to_owned(), "a.b/c".to_owned())].into());
    assert_eq!(options.plain_http, ["a.b".to_owned()].into());
    assert_eq!(options.logins.docker, Some("/home/me/.docker/config.json".into()));
}
