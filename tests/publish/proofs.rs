//! Probes in containers of real images.

use lamina::event::FailureKind;
use lamina::publish;
use lamina::registry;
use tokio_util::sync::CancellationToken;

use crate::lab::{Declared, Lab, on_each};

/// Each result as `what by whom: why it is wrong`.
fn said(lab: &Lab, dockerfile: &str, declared: &Declared) -> Vec<String> {
    let (image, digest) = lab.build(dockerfile);
    let verdict = lab.prove(&image, &digest, declared).unwrap_or_else(|error| panic!("{}: {error:?}", lab.name));
    assert_eq!(verdict.is_good(), verdict.wrong().count() == 0);
    let said = verdict.results.iter().map(|result| {
        let wrong = result.wrong.as_deref().unwrap_or("right");
        format!("{} of {}: {wrong}", result.what, result.declared_by)
    });
    said.collect()
}

#[test]
fn every_probe_gets_its_own_result() {
    on_each("every_probe_gets_its_own_result", |lab| {
        let declared = Declared::nothing()
            .tool("good", &["sh", "-c", "echo tool 1.2.3"], Some("1.2.3"))
            .tool("on-stderr", &["sh", "-c", "echo tool 4.5 >&2"], Some("4.5"))
            .tool("any", &["true"], None)
            .tool("other", &["sh", "-c", "echo tool 1.2.3"], Some("1.2.4"))
            .tool("fails", &["sh", "-c", "echo tool 1.2.3; exit 3"], Some("1.2.3"))
            .tool("missing", &["no-such-tool", "--version"], None)
            .artifact("/bin/sh")
            .artifact("/not/there")
            .artifact("/dangling");
        let said = said(lab, "FROM BUSYBOX\nRUN ln -s /nowhere /dangling\n", &declared);
        let expected = [
            "good of layer: right",
            "on-stderr of layer: right",
            "any of layer: right",
            "other of layer: its output does not hold `1.2.4`",
            "fails of layer: it ended with exit code 3",
            "missing of layer: it can't be started: exec: \"no-such-tool\": executable file not found in $PATH",
            "/bin/sh of layer: right",
            "/not/there of layer: there is no such path in the image",
            "/dangling of layer: there is no such path in the image",
        ];
        assert_eq!(said, expected, "{}", lab.name);
    });
}

#[test]
fn a_result_has_what_was_run_and_what_it_wrote() {
    on_each("a_result_has_what_was_run_and_what_it_wrote", |lab| {
        let (image, digest) = lab.build("FROM BUSYBOX\n");
        let declared = Declared::nothing().tool("counts", &["seq", "100"], Some("3")).artifact("/bin");
        let verdict = lab.prove(&image, &digest, &declared).unwrap();
        let [counts, bin] = &verdict.results[..] else { panic!("{verdict:?}") };
        assert_eq!(counts.command, ["seq", "100"]);
        assert_eq!((counts.expected.as_deref(), counts.platform.as_str()), (Some("3"), "linux/amd64"));
        // The expected text stood in a line that is not kept.
        let last: Vec<String> = (81..=100).map(|number: u32| number.to_string()).collect();
        assert_eq!((&counts.output, &counts.wrong), (&last, &None));
        assert_eq!((bin.what.as_str(), bin.command.len(), &bin.wrong), ("/bin", 0, &None));
    });
}

#[test]
fn an_inherited_tool_that_a_child_broke_is_found() {
    on_each("an_inherited_tool_that_a_child_broke_is_found", |lab| {
        let declared = Declared::nothing().inherited("parent", "tool", &["/usr/local/bin/tool"], Some("1.0")).tool(
            "own",
            &["true"],
            None,
        );
        let parent = "FROM BUSYBOX AS parent\nRUN mkdir -p /usr/local/bin && \
                      printf '#!/bin/sh\\necho 1.0\\n' > /usr/local/bin/tool && chmod +x /usr/local/bin/tool\n";
        assert_eq!(said(lab, parent, &declared), ["tool of parent: right", "own of layer: right"]);
        let child = format!("{parent}FROM parent\nRUN printf '#!/bin/sh\\nexit 127\\n' > /usr/local/bin/tool\n");
        let expected = ["tool of parent: it ended with exit code 127", "own of layer: right"];
        assert_eq!(said(lab, &child, &declared), expected);
    });
}

#[test]
fn an_image_needs_no_shell() {
    on_each("an_image_needs_no_shell", |lab| {
        // The odd name is made by a shell, because COPY would take it for a pattern.
        let dockerfile = "FROM BUSYBOX AS b\nRUN mkdir /odd && touch \"/odd/a\\$b '\\\"c\" '/odd/*'\n\
                          FROM scratch\nCOPY --from=b /bin/busybox /tools/\nCOPY --from=b /odd /odd\n";
        let declared = Declared::nothing()
            .tool("echo", &["/tools/busybox", "echo", "v1"], Some("v1"))
            .tool("sh", &["sh", "-c", "true"], None)
            .artifact("/tools/busybox")
            .artifact("/tools")
            .artifact("/odd/a$b '\"c")
            .artifact("/odd/a$b '")
            .artifact("/odd/*")
            .artifact("/tools/nothing");
        let said = said(lab, dockerfile, &declared);
        let expected = [
            "echo of layer: right",
            "sh of layer: it can't be started: exec: \"sh\": executable file not found in $PATH",
            "/tools/busybox of layer: right",
            "/tools of layer: right",
            "/odd/a$b '\"c of layer: right",
            "/odd/a$b ' of layer: there is no such path in the image",
            "/odd/* of layer: it can't be looked for: the image has no `test`, and to COPY it is a pattern",
            "/tools/nothing of layer: there is no such path in the image",
        ];
        assert_eq!(said, expected, "{}", lab.name);
    });
}

#[test]
fn the_image_is_as_its_users_have_it() {
    on_each("the_image_is_as_its_users_have_it", |lab| {
        let dockerfile = "FROM BUSYBOX\nRUN mkdir -p -m 700 /root/deep/er /home/me && touch /root/deep/er/file && \
                          printf '#!/bin/sh\\necho from-path\\n' > /home/me/tool && chmod 755 /home/me /home/me/tool\n\
                          ENV PATH=/home/me:/bin GREETING=hello\nWORKDIR /home/me\nUSER 1234\n\
                          ENTRYPOINT [\"/bin/false\"]\nCMD [\"never\"]\n";
        let declared = Declared::nothing()
            .tool("user", &["id", "-u"], Some("1234"))
            .tool("env", &["sh", "-c", "echo $GREETING $PWD"], Some("hello /home/me"))
            .tool("path", &["tool"], Some("from-path"))
            .tool("network", &["sh", "-c", "echo interfaces: $(ls /sys/class/net)."], Some("interfaces: lo."))
            .artifact("/root/deep/er/file");
        let said = said(lab, dockerfile, &declared);
        assert!(said.iter().all(|line| line.ends_with(": right")), "{}: {said:#?}", lab.name);
    });
}

#[test]
fn what_a_catalog_says_is_text_and_nothing_else() {
    let hostile = [
        "a b",
        "\"",
        "'",
        "\\",
        "\\\\\"",
        "$HOME",
        "${HOME}",
        "`id`",
        "$(id)",
        "<<EOF",
        "<<-'EOF'",
        "# syntax=evil",
        "--mount=type=bind,target=/x",
        "]",
        "\", \"x",
        "é ü 漢 🦀",
        "\u{7f}",
        "a\\",
        "&& false",
        "*",
        "?[a-z]",
        "%s",
    ];
    on_each("what_a_catalog_says_is_text_and_nothing_else", |lab| {
        let (image, digest) = lab.build("FROM BUSYBOX\n");
        // One a line, as it came.
        let mut command = vec!["printf", "%s|\\n"];
        command.extend(hostile);
        let mut declared = Declared::nothing().tool("all", &command, None);
        for word in hostile {
            declared = declared.tool("one", &["printf", "<%s>", word], Some(&format!("<{word}>")));
        }
        declared = declared
            .tool("lines", &["printf", "%s", "one\nRUN false\n# two\r\n\tthree"], Some("RUN false"))
            .tool("none", &["printf", "%s|", ""], Some("|"))
            .artifact("/no\nRUN false")
            .artifact("/bin\" , \"/");
        let verdict = lab.prove(&image, &digest, &declared).unwrap();
        let lines: Vec<String> = hostile.iter().map(|word| format!("{word}|")).collect();
        let kept = lines.len() - 20;
        assert_eq!(verdict.results[0].output, lines[kept..], "{}", lab.name);
        let wrong: Vec<_> = verdict.wrong().map(|result| (&*result.what, result.wrong.as_deref().unwrap())).collect();
        let missing = "there is no such path in the image";
        assert_eq!(wrong, [("/no\nRUN false", missing), ("/bin\" , \"/", missing)], "{}", lab.name);
    });
}

#[test]
fn nothing_declared_is_proven_without_an_engine_and_an_engine_that_fails_proves_nothing() {
    on_each("nothing_declared_is_proven_without_an_engine", |lab| {
        let nowhere = lab.place.image("nobody-pushed-it");
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        assert!(lab.prove(&nowhere, &digest, &Declared::nothing()).unwrap().is_good());
        let error = lab.prove(&nowhere, &digest, &Declared::nothing().tool("t", &["true"], None)).unwrap_err();
        assert_eq!((error.kind, error.cancelled), (FailureKind::Base, false), "{}: {error:?}", lab.name);
    });
}

#[test]
fn a_proof_ends_when_it_is_asked_to() {
    on_each("a_proof_ends_when_it_is_asked_to", |lab| {
        let (image, digest) = lab.build("FROM BUSYBOX\n");
        let declared = Declared::nothing().tool("sleeps", &["sleep", "600"], None);
        let probes = declared.probes();
        let cancel = CancellationToken::new();
        let error = registry::block_on(async {
            let mut found = |_| panic!("it is never done");
            let proving = publish::prove(&*lab.engine, &image, &digest, &probes, &mut found, &cancel);
            let ending = async {
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                cancel.cancel();
            };
            tokio::join!(proving, ending).0.unwrap_err()
        });
        assert!(error.unwrap().cancelled, "{}", lab.name);
    });
}
