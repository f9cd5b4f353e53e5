//! Secrets are seen by the step that mounts them, and by nobody else.

use std::fs;
use std::path::Path;

use crate::shop::{Shop, command_lines};

/// Whether a file below a folder holds a text; all of them, to be sure that there are some.
fn holding(folder: &Path, text: &str) -> (Vec<String>, usize) {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                looked_at += 1;
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    (found, looked_at)
}

#[test]
fn a_secret_is_nowhere_but_in_its_step() {
    let Some(mut shop) = Shop::new("a_secret_is_nowhere_but_in_its_step") else { return };
    let [by_file, by_env] = ["file", "env"].map(|way| format!("value-{way}-{}", shop.unique.replace('-', "")));
    let lines = "RUN --mount=type=secret,id=one --mount=type=secret,id=two cat /run/secrets/one && echo && echo two=$(cat \
                 /run/secrets/two) && sleep 2 && cat /run/secrets/one /run/secrets/two | wc -c > /length";
    shop.layer(
        "it",
        "",
        lines,
        "build.secrets = [{ id = \"one\", required = true }, { id = \"two\", required = true }],",
    )
    .lock();

    // Without them nothing is begun, and all that is missing is said at once.
    let ran = shop.run(&["build", "it"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(["`one`", "`two`", "LAMINA_SECRET_TWO"].iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
    assert_eq!(shop.tags("it"), Vec::<String>::new());

    let file = shop.beside("secret");
    fs::write(&file, format!("{by_file}\n")).unwrap();
    shop.env.insert("LAMINA_SECRET_TWO".into(), by_env.clone().into());
    let secret = format!("id=one,src={}", file.display());
    let mut running = shop.start(&["build", "it", "--secret", &secret, "--progress", "json", "-v"]);
    let mut seen = 0;
    let is_seen = |line: &Vec<u8>| {
        [&by_file, &by_env].iter().any(|value| line.windows(value.len()).any(|window| window == value.as_bytes()))
    };
    while !running.is_over() {
        let lines = command_lines();
        seen += lines
            .iter()
            .filter(|line| {
                line.ends_with(b"__run\0") || line.windows(10).any(|w| w == b"rawjson\0--" || w == b"s=rawjson\0")
            })
            .count();
        assert!(!lines.iter().any(is_seen), "in the arguments of a process");
    }
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(seen > 0, "a client was looked at while it ran");
    assert!(ran.stderr.contains("\"***\"") && ran.stderr.contains("two=***"), "{}", ran.stderr);
    let tag = shop.tags("it").into_iter().find(|tag| tag.starts_with("fp-")).unwrap();
    let config = shop.config("it", &tag);
    for value in [&by_file, &by_env] {
        assert!(!ran.stdout.contains(value.as_str()) && !ran.stderr.contains(value.as_str()), "{ran:?}");
        assert!(!config.contains(value.as_str()), "{config}");
        for (folder, least) in [("state", 2), ("cache", 1), ("home", 0), ("tmp", 0)] {
            let (found, looked_at) = holding(&shop.beside(folder), value);
            assert!(found.is_empty() && looked_at >= least, "{folder}: {found:?} of {looked_at}");
        }
    }
}
