//! TLS: whom lamina trusts, and that nothing leads it out of TLS.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lamina::registry::{self, Options, Registry, RegistryErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::common::{good, image, manifest, plain, served, truth};
use crate::real::RealRegistry;
use crate::server::{Reply, Server};

/// A certificate authority of this test's own, and a server's certificate that it has signed for 127.0.0.1.
pub struct Authority {
    folder: TempDir,
    /// The authority's own certificate.
    pub root: String,
    /// The server's.
    pub certificate: String,
    /// The server's key.
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let server = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let (root, certificate, key) = (issuer.pem(), server.pem(), key.serialize_pem());
        Self { folder: TempDir::new().unwrap(), root, certificate, key }
    }

    /// A file with the authority's certificate.
    pub fn file(&self) -> PathBuf {
        let file = self.folder.path().join("root.pem");
        fs::write(&file, &self.root).unwrap();
        file
    }

    /// Options that trust it.
    pub fn options(&self) -> Options {
        Options { authorities: vec![self.file()], ..plain(&[]) }
    }

    /// What a server needs to use the certificate.
    pub fn server(&self) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }
}

#[test]
fn a_registry_of_an_unknown_authority_is_refused_until_it_is_named() {
    let authority = Authority::new();
    let test = "a_registry_of_an_unknown_authority_is_refused_until_it_is_named";
    let Some(real) = RealRegistry::start(test, false, Some(&authority)) else { return };
    let image = image(&real.host, "a/b:amd64");
    let options = authority.options();
    let http = reqwest::Client::builder();
    registry::block_on(async {
        // The crypto provider is there from here on.
        let registries = registry::open(&options).unwrap();
        let root = reqwest::Certificate::from_pem(authority.root.as_bytes()).unwrap();
        let pusher = real.pusher(http.tls_certs_only([root]).build().unwrap(), "https");
        let pushed = pusher.put_image("a/b", "amd64").await;
        let manifest = registries.manifest(&image).await.unwrap();
        assert_eq!(manifest.digest.as_str(), pushed["digest"]);
    })
    .unwrap();

    let error = manifest(&plain(&[]), &image).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Tls { .. }), "{:?}", error.kind);
    assert_eq!(
        error.kind.to_string(),
        format!("{} can't be trusted: invalid peer certificate: UnknownIssuer", real.host)
    );
}

#[test]
fn what_is_not_trusted_is_not_asked_again() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server(), |_, _| served(good()));
    let error = manifest(&plain(&[]), &image(&server.host, "a/b:1")).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Tls { .. }), "{:?}", error.kind);
    assert!(server.asked().is_empty());
    assert_eq!(manifest(&authority.options(), &image(&server.host, "a/b:1")).unwrap(), truth());
}

#[test]
fn a_host_without_tls_is_only_spoken_to_where_that_is_listed() {
    let test = "a_host_without_tls_is_only_spoken_to_where_that_is_listed";
    let Some(real) = RealRegistry::start(test, false, None) else { return };
    let error = manifest(&plain(&["127.0.0.1:1", "localhost"]), &image(&real.host, "a/b:1")).unwrap_err();
    assert_eq!(
        error.kind.to_string(),
        format!(
            "{} can't be trusted: it does not speak TLS; hosts that use plain HTTP are listed in the catalog's \
             `plain_http`",
            real.host
        )
    );
    let error = manifest(&plain(&[&real.host]), &image(&real.host, "a/b:1")).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
}

#[test]
fn nothing_leads_from_tls_to_plain_http() {
    let authority = Authority::new();
    let target = Server::start(|_, _| served(good()));
    let host = target.host.clone();
    let server = Server::start_tls(authority.server(), move |_, _| {
        Reply::new(307, "").header("Location", &format!("http://{host}/v2/a/b/manifests/1"))
    });
    let options = Options { plain_http: [target.host.clone()].into(), ..authority.options() };
    let error = manifest(&options, &image(&server.host, "a/b:1")).unwrap_err();
    let expected = format!("it sends its clients to http://{}, which is not encrypted", target.host);
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(target.asked().is_empty());
}

#[test]
fn a_token_service_without_tls_is_not_asked_by_a_registry_with_tls() {
    let authority = Authority::new();
    let tokens = Server::start(|_, _| Reply::new(200, r#"{"token": "t"}"#));
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", tokens.host);
    let server =
        Server::start_tls(authority.server(), move |_, _| Reply::new(401, "").header("WWW-Authenticate", &challenge));
    let options = Options { plain_http: [tokens.host.clone()].into(), ..authority.options() };
    let error = manifest(&options, &image(&server.host, "a/b:1")).unwrap_err();
    let expected = format!("it sends its clients to http://{}, which is not encrypted", tokens.host);
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(tokens.asked().is_empty());
}

#[test]
fn files_of_authorities_are_read_or_named() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, why) in [
        (folder.path().join("absent.pem"), "No such file or directory (os error 2)"),
        (file("empty.pem", ""), "it holds no certificate in PEM"),
        (file("key.pem", &Authority::new().key), "it holds no certificate in PEM"),
        (file("broken.pem", broken), ""),
    ] {
        let options = Options { authorities: vec![file.clone()], ..plain(&[]) };
        let Err(error) = registry::open(&options) else { panic!("{} is taken", file.display()) };
        let expected = format!("the certificate authorities in {} can't be used: {why}", file.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
