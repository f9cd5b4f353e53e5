//! Programs that run beside others: what they get, what is read of them, and what is left of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use lamina::host::child::{Ended, Program};
use lamina::host::process::ProcessError;
use lamina::registry::block_on;
use tokio_util::sync::CancellationToken;

use crate::lab::{runs, unique, until};

fn shell(script: &str, word: &str) -> Program {
    Program {
        path: PathBuf::from("/bin/sh"),
        args: ["-c", script, word].map(Into::into).into(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into()), ("WORD".into(), word.into())]),
        lamina: Some(PathBuf::from(env!("CARGO_BIN_EXE_lamina"))),
        folder: None,
        reads_stdout: false,
    }
}

fn run(program: &Program, cancel: &CancellationToken) -> (Result<Ended, ProcessError>, Vec<u8>) {
    let mut read = Vec::new();
    let ended = block_on(program.run(cancel, |bytes| read.extend_from_slice(bytes))).unwrap();
    (ended, read)
}

#[test]
fn all_that_it_writes_is_read() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; env >&2; cat; echo out; exit 3";
    let (ended, read) = run(&shell(script, "a word"), &CancellationToken::new());
    let ended = ended.unwrap();
    assert_eq!((ended.status.code(), ended.cancelled), (Some(3), false));
    let text = String::from_utf8(read).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!((0..20000).all(|n| lines[n] == format!("line {n}")));
    let mut env: Vec<&str> = lines[20000..].iter().copied().filter(|line| !line.starts_with("PWD=")).collect();
    env.retain(|line| !line.starts_with("_=") && !line.starts_with("SHLVL=") && !line.starts_with("OLDPWD"));
    env.sort_unstable();
    assert_eq!(env, ["PATH=/usr/bin:/bin", "WORD=a word"], "nothing else of the environment, and nothing of stdout");
}

#[test]
fn who_does_not_end_when_asked_is_ended() {
    let word = format!("stubborn-{}", unique());
    let cancel = CancellationToken::new();
    let script = "trap '' INT; sh -c 'trap \"\" INT; while :; do sleep 1; done' $0; exit 0";
    let program = shell(script, &word);
    let ended = thread::scope(|scope| {
        scope.spawn(|| {
            until("it runs", || runs(&word));
            cancel.cancel();
        });
        run(&program, &cancel).0.unwrap()
    });
    assert!(ended.cancelled && ended.status.code().is_none(), "{ended:?}");
    until("nothing of it runs", || !runs(&word));
}

#[test]
fn what_it_leaves_behind_is_ended() {
    let word = format!("left-{}", unique());
    let (ended, read) = run(&shell("sh -c 'sleep 60; :' $0 & echo done >&2; exit 4", &word), &CancellationToken::new());
    assert_eq!((ended.unwrap().status.code(), &*read), (Some(4), &b"done\n"[..]));
    until("nothing of it runs", || !runs(&word));
}

#[test]
fn what_is_not_there_is_not_found() {
    let program = Program { path: PathBuf::from("/no/such/program"), lamina: None, ..shell("", "") };
    let (ended, _) = run(&program, &CancellationToken::new());
    assert!(matches!(ended, Err(ProcessError::NotFound(name)) if name == "/no/such/program"));
}
