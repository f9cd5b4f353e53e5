//! Which client is used, and what its command line is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lamina::engine::{self, ClientChoice, Engine, OpenError, Options, Output, SecretSource, Solve};

use crate::lab::folder;

/// A program that says something and ends.
fn program(file: &Path, says: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

fn open(variables: &[(&str, &str)], client: Option<ClientChoice>) -> Result<Box<dyn Engine>, OpenError> {
    engine::open(&Options { client, env: variables.iter().copied().collect(), ..Options::default() })
}

fn refused(variables: &[(&str, &str)], client: Option<ClientChoice>) -> OpenError {
    match open(variables, client) {
        Ok(engine) => panic!("{:?}", engine.about()),
        Err(error) => error,
    }
}

const SOCKET: &str = "unix:///var/run/docker.sock";
const BUILDX: &str = "github.com/docker/buildx 0.29.1+ds1 0.29.1+ds1-4";
const BUILDCTL: &str = "buildctl github.com/moby/buildkit v0.32.2 abc";

#[test]
fn the_endpoint_chooses_and_an_option_forces() {
    let folder = folder();
    let home = folder.path().to_str().unwrap();
    program(&folder.path().join("buildctl"), BUILDCTL);
    program(&folder.path().join(".docker/cli-plugins/docker-buildx"), BUILDX);
    let env = [("PATH", home), ("HOME", home)];
    let about = |variables: &[(&str, &str)], client| {
        let engine = open(variables, client).unwrap_or_else(|error| panic!("{error}"));
        let about = engine.about().clone();
        (about.client, about.version, about.endpoint, about.rewrites_timestamps)
    };
    let buildx = |endpoint: &str| ("docker buildx".to_owned(), "0.29.1+ds1".to_owned(), endpoint.to_owned(), false);
    let buildctl = |endpoint: &str| ("buildctl".to_owned(), "0.32.2".to_owned(), endpoint.to_owned(), true);
    assert_eq!(about(&env, None), buildx(SOCKET));
    let docker = [&env[..], &[("DOCKER_HOST", "ssh://me:secret@host:22/x")]].concat();
    assert_eq!(about(&docker, None), buildx("ssh://me@host:22/x"));
    let buildkit = [&env[..], &[("BUILDKIT_HOST", "tcp://10.0.0.1:1234")]].concat();
    assert_eq!(about(&buildkit, None), buildctl("tcp://10.0.0.1:1234"));
    assert_eq!(about(&env, Some(ClientChoice::Buildctl)), buildctl("unix:///run/buildkit/buildkitd.sock"));
    assert_eq!(about(&buildkit, Some(ClientChoice::Buildx)), buildx(SOCKET));
}

#[test]
fn a_client_is_asked_once_for_its_version_and_again_when_it_is_another() {
    let folder = folder();
    let home = folder.path().to_str().unwrap();
    let (client, asked) = (folder.path().join("buildctl"), folder.path().join("asked"));
    let install = |version: &str| program(&client, &format!("buildctl x v{version}'; echo >> '{}", asked.display()));
    let known = folder.path().join("known/clients.json");
    let version = |known: &Path| {
        let env = [("PATH", home)].into_iter().collect();
        let options =
            Options { client: Some(ClientChoice::Buildctl), env, known: Some(known.to_owned()), ..Options::default() };
        engine::open(&options).map(|engine| engine.about().version.clone()).unwrap_or_else(|error| panic!("{error}"))
    };
    let times = || fs::read_to_string(&asked).unwrap().lines().count();
    install("0.30.0");
    assert_eq!((version(&known), version(&known)), ("0.30.0".to_owned(), "0.30.0".to_owned()));
    assert_eq!(times(), 1);
    install("0.31.0");
    assert_eq!((version(&known), version(&known)), ("0.31.0".to_owned(), "0.31.0".to_owned()));
    assert_eq!(times(), 2);
    // What is damaged, or can't be written, is asked for.
    fs::write(&known, "{").unwrap();
    assert_eq!(
        (version(&known), version(&folder.path().join("buildctl/file"))),
        ("0.31.0".to_owned(), "0.31.0".to_owned())
    );
    assert_eq!(times(), 4);
}

#[test]
fn a_context_and_a_builder_are_read_from_dockers_configuration() {
    let folder = folder();
    let home = folder.path().to_str().unwrap();
    let config = folder.path().join(".docker");
    program(&config.join("cli-plugins/docker-buildx"), BUILDX);
    fs::write(config.join("config.json"), r#"{"currentContext": "far"}"#).unwrap();
    let env = [("HOME", home)];
    assert_eq!(open(&env, None).unwrap().about().endpoint, "context far");
    // Docker names the folder by the hash of the context's name.
    let meta = config.join("contexts/meta/512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868");
    fs::create_dir_all(&meta).unwrap();
    fs::write(meta.join("meta.json"), r#"{"Name": "far", "Endpoints": {"docker": {"Host": "tcp://far:2376"}}}"#)
        .unwrap();
    assert_eq!(open(&env, None).unwrap().about().endpoint, "tcp://far:2376");
    assert_eq!(open(&[&env[..], &[("DOCKER_CONTEXT", "default")]].concat(), None).unwrap().about().endpoint, SOCKET);
    let host = [&env[..], &[("DOCKER_HOST", "unix:///other.sock"), ("DOCKER_CONTEXT", "far")]].concat();
    assert_eq!(open(&host, None).unwrap().about().endpoint, "unix:///other.sock");

    let builders = config.join("buildx/instances");
    fs::create_dir_all(&builders).unwrap();
    fs::write(builders.join("mine"), r#"{"Name": "mine", "Driver": "docker-container"}"#).unwrap();
    let named = open(&[&env[..], &[("BUILDX_BUILDER", "mine")]].concat(), None).unwrap();
    assert_eq!((named.about().endpoint.as_str(), named.about().rewrites_timestamps), ("builder mine", true));
    let current = r#"{"Key": "far", "Name": "mine", "Global": false}"#;
    fs::write(config.join("buildx/current"), current).unwrap();
    assert!(open(&env, None).unwrap().about().rewrites_timestamps);
    assert!(!open(&host, None).unwrap().about().rewrites_timestamps, "it is the current one of another endpoint");
}

#[test]
fn clients_that_are_missing_or_too_old() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let env = [("PATH", path), ("DOCKER_CONFIG", path)];
    // A plugin of this machine's would be found.
    if !Path::new("/usr/libexec/docker/cli-plugins/docker-buildx").exists()
        && !Path::new("/usr/lib/docker/cli-plugins/docker-buildx").exists()
        && !Path::new("/usr/local/lib/docker/cli-plugins/docker-buildx").exists()
        && !Path::new("/usr/local/libexec/docker/cli-plugins/docker-buildx").exists()
    {
        assert!(matches!(refused(&env, None), OpenError::NoBuildx));
        program(&folder.path().join("docker"), "");
        assert!(matches!(refused(&env, None), OpenError::NoBuildx), "docker without the plugin");
        program(&folder.path().join("docker"), "buildah 1.39.3");
        assert!(matches!(refused(&env, None), OpenError::NotBuildx(program) if program.ends_with("docker buildx")));
        program(&folder.path().join("docker"), BUILDX);
        assert_eq!(open(&env, None).unwrap().about().version, "0.29.1+ds1");
    }
    let host = [&env[..], &[("BUILDKIT_HOST", "tcp://me:secret@host:1")]].concat();
    let missing = refused(&host, None);
    assert!(missing.hints().iter().any(|hint| hint.contains("tcp://me@host:1")), "{missing:?}");
    assert!(!format!("{missing:?} {missing} {:?}", missing.hints()).contains("secret"));

    program(&folder.path().join("cli-plugins/docker-buildx"), "github.com/docker/buildx v0.12.1 abc");
    let old = refused(&env, None);
    assert_eq!(old.to_string(), "docker buildx 0.12.1 is too old: lamina needs 0.13.0 or newer");
    assert!(!old.hints().is_empty());
    program(&folder.path().join("buildctl"), "buildctl github.com/moby/buildkit v0.12.5");
    assert!(matches!(refused(&host, None), OpenError::TooOld { client: "buildctl", .. }));
    program(&folder.path().join("buildctl"), "buildctl github.com/moby/buildkit v0.0.0+unknown ");
    assert_eq!(open(&host, None).unwrap().about().version, "0.0.0+unknown", "of that, nothing can be said");
}

#[test]
fn the_command_line() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    program(&folder.path().join("buildctl"), BUILDCTL);
    program(&folder.path().join("cli-plugins/docker-buildx"), BUILDX);
    let env = [("PATH", path), ("DOCKER_CONFIG", path), ("TOKEN", "hidden")];
    let solve = Solve {
        dockerfile: "/s/Dockerfile".into(),
        context: "/s/context".into(),
        contexts: [("a".to_owned(), "docker-image://r/a@sha256:0".to_owned()), ("b".to_owned(), "/b".to_owned())]
            .into(),
        args: [("A".to_owned(), "1".to_owned())].into(),
        target: Some("last".to_owned()),
        platforms: vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()],
        secrets: [
            ("f".to_owned(), SecretSource::File("/a,b".into())),
            ("t".to_owned(), SecretSource::Env("TOKEN".to_owned())),
        ]
        .into(),
        ssh: [("default".to_owned(), None), ("key".to_owned(), Some("/key".into()))].into(),
        network: lamina::model::Network::Host,
        labels: [("l".to_owned(), "v".to_owned())].into(),
        annotations: [("n".to_owned(), "w".to_owned())].into(),
        cache_from: vec!["r/cache:a".to_owned()],
        cache_to: Some("r/cache:b".to_owned()),
        no_cache: true,
        source_date_epoch: Some(1),
        output: Output::Push("r.example/n/a:t".parse().unwrap()),
        insecure: false,
    };
    let shown = |client| {
        let command = open(&env, Some(client)).unwrap().command(&solve);
        assert!(!command.iter().any(|arg| arg.contains("hidden")));
        command.join("\n").replace(path, "$DIR")
    };
    insta::assert_snapshot!("buildx", shown(ClientChoice::Buildx));
    insta::assert_snapshot!("buildctl", shown(ClientChoice::Buildctl));
}
