//! Builds that fail, each provoked on a real engine: what kind of failure, which step, what may be tried again.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::thread;

use lamina::engine::{SecretSource, Solve};
use lamina::event::FailureKind;

use crate::lab::{Lab, folder, on_each, push};

/// Builds a Dockerfile that has no file to copy, and says how it fails.
fn fails(lab: &Lab, steps: &str) -> lamina::engine::SolveError {
    let folder = folder();
    lab.fails(&lab.solve(folder.path(), steps))
}

#[test]
fn a_step_that_fails() {
    on_each("step", |lab| {
        let folder = folder();
        let built =
            lab.build(&lab.solve(folder.path(), "RUN echo fine\nRUN echo last words; exit 37\nRUN echo never\n"));
        let error = built.result.as_ref().unwrap_err();
        assert_eq!((error.kind, error.exit_code, error.retryable), (FailureKind::Step, Some(37), false), "{error:?}");
        assert_eq!(error.message, "`[3/4] RUN echo last words; exit 37` ended with exit code 37", "{}", lab.name);
        let culprit = error.step.unwrap();
        let said = built.progress.iter().filter_map(|told| match told {
            lamina::engine::Progress::Output { step, line, .. } if *step == culprit => Some(line.as_str()),
            _ => None,
        });
        assert_eq!(said.collect::<Vec<_>>(), ["last words"]);
    });
}

#[test]
fn a_step_that_is_killed() {
    on_each("killed", |lab| {
        let error = fails(lab, "RUN exit 137\n");
        assert_eq!((error.kind, error.exit_code, error.retryable), (FailureKind::Step, Some(137), false), "{error:?}");
        assert!(!error.hints.is_empty());
    });
}

#[test]
fn a_dockerfile_that_is_wrong() {
    on_each("dockerfile", |lab| {
        let error = fails(lab, "RUNN true\n");
        assert_eq!((error.kind, error.retryable), (FailureKind::Dockerfile, false), "{error:?}");
        assert!(error.message.starts_with("dockerfile parse error on line 3: unknown instruction: RUNN"), "{error:?}");

        let folder = folder();
        let solve = lab.solve(folder.path(), "");
        let gone = lab.fails(&Solve { dockerfile: folder.path().join("none"), ..solve.clone() });
        assert_eq!(gone.kind, FailureKind::Dockerfile, "{gone:?}");
        let no_stage = lab.fails(&Solve { target: Some("none".to_owned()), ..solve.clone() });
        assert_eq!(no_stage.kind, FailureKind::Dockerfile, "{no_stage:?}");
        fs::write(&solve.dockerfile, "").unwrap();
        let empty = lab.fails(&solve);
        assert_eq!(empty.kind, FailureKind::Dockerfile, "{empty:?}");
    });
}

#[test]
fn a_base_that_is_not_there() {
    on_each("base", |lab| {
        let folder = folder();
        for base in ["nothing/here:t".to_owned(), format!("library/busybox@sha256:{}", "0".repeat(64))] {
            let error = lab.fails(&lab.solve_of(folder.path(), &format!("FROM {}/{base}\n", lab.registry)));
            assert_eq!((error.kind, error.retryable), (FailureKind::Base, false), "{}: {error:?}", lab.name);
            assert!(error.message.contains(&base), "{error:?}");
        }
    });
}

#[test]
fn a_file_that_is_not_there() {
    on_each("context", |lab| {
        let error = fails(lab, "COPY nofile /\n");
        assert_eq!((error.kind, error.retryable), (FailureKind::Context, false), "{error:?}");
        assert!(error.message.contains("/nofile"), "{error:?}");
        // Another step runs at the same time, is ended with it, and is not the culprit.
        let error = fails(lab, "RUN sleep 5\nFROM scratch\nCOPY --from=0 /bin/true /\nCOPY nofile /\n");
        assert!(error.kind == FailureKind::Context && error.message.contains("/nofile"), "{error:?}");
    });
}

#[test]
fn secrets_and_agents_that_are_not_there() {
    on_each("secrets", |lab| {
        let folder = folder();
        let needs = lab.solve(folder.path(), "RUN --mount=type=secret,id=tok,required=true true\n");
        let not_given = lab.fails(&needs);
        assert_eq!((not_given.kind, not_given.retryable), (FailureKind::Secret, false), "{not_given:?}");
        let source = SecretSource::File(folder.path().join("gone"));
        let gone = lab.fails(&Solve { secrets: BTreeMap::from([("tok".to_owned(), source)]), ..needs.clone() });
        assert_eq!((gone.kind, gone.retryable), (FailureKind::Secret, false), "{gone:?}");
        let agent = [("default".to_owned(), Some(folder.path().join("gone")))].into();
        let agent = lab.fails(&Solve { ssh: agent, ..needs.clone() });
        assert_eq!((agent.kind, agent.retryable), (FailureKind::Secret, false), "{agent:?}");
        let ssh = fails(lab, "RUN --mount=type=ssh,required=true true\n");
        assert_eq!((ssh.kind, ssh.retryable), (FailureKind::Secret, false), "{ssh:?}");
    });
}

#[test]
fn a_registry_that_is_down() {
    on_each("registry down", |lab| {
        let folder = folder();
        let image = "127.0.0.1:1/nobody/listens:t".parse().unwrap();
        let solve = Solve { output: push(&image), ..lab.solve(folder.path(), "RUN true\n") };
        let error = lab.fails(&solve);
        assert_eq!((error.kind, error.retryable), (FailureKind::Registry, true), "{error:?}");
        let base = lab.fails(&lab.solve_of(folder.path(), "FROM 127.0.0.1:1/nobody/here:t\n"));
        assert_eq!((base.kind, base.retryable), (FailureKind::Registry, true), "{base:?}");
    });
}

#[test]
fn what_is_neither_an_image_nor_declared() {
    on_each("other", |lab| {
        let download = fails(lab, "ADD https://127.0.0.1:1/file /\n");
        assert_eq!((download.kind, download.retryable), (FailureKind::Other, true), "{download:?}");
        let network = fails(lab, "RUN --network=host true\n");
        assert_eq!((network.kind, network.retryable), (FailureKind::Dockerfile, false), "{network:?}");
        let syntax = format!("# syntax={0}/no/such:t\nFROM {0}/library/busybox:stable\n", lab.registry);
        let syntax = lab.fails(&lab.solve_of(folder().path(), &syntax));
        assert_eq!((syntax.kind, syntax.retryable), (FailureKind::Base, false), "{syntax:?}");
    });
}

/// A registry that gives each request the same answer; the address of it.
fn registry_that_says(status: &'static str, header: &'static str) -> String {
    use std::io::{BufRead, BufReader, Write};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let head = BufReader::new(&connection).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            head.for_each(drop);
            let mut connection = &connection;
            let answer = format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn a_registry_that_refuses_or_is_ill() {
    on_each("refused", |lab| {
        // buildkitd speaks HTTP only with the hosts of its configuration, and to what it is told to push to.
        let refusing = registry_that_says("401 Unauthorized", "WWW-Authenticate: Basic realm=\"test\"\r\n");
        let forbidding = registry_that_says("403 Forbidden", "");
        let ill = registry_that_says("503 Service Unavailable", "");
        let folder = folder();
        for (host, kind, retryable) in [
            (&refusing, FailureKind::Unauthorized, false),
            (&forbidding, FailureKind::Unauthorized, false),
            (&ill, FailureKind::Registry, true),
        ] {
            let image = format!("{host}/a/b:t").parse().unwrap();
            let solve = Solve { output: push(&image), insecure: true, ..lab.solve(folder.path(), "RUN true\n") };
            let error = lab.fails(&solve);
            assert_eq!((error.kind, error.retryable), (kind, retryable), "{}: {error:?}", lab.name);
        }
    });
}
