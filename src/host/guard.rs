//! A program that dies with lamina, however lamina dies.
//!
//! Linux can send a process a signal when its parent ends, and a process can only ask for that itself. So lamina starts
//! itself with a hidden argument, asks, and becomes the program. Elsewhere it becomes the program at once.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The hidden argument that makes this program a guard.
pub const ARGUMENT: &str = "__run";

/// The code when the program can't be run; the one of `env` and of shells.
const NOT_RUN: u8 = 127;

/// The command line that runs a program as one that dies with the calling process: program and arguments.
///
/// The signal comes when the *thread* ends that starts it: in lamina that is the one which waits for everything.
pub fn command(lamina: &Path, program: &Path) -> Command {
    let mut command = Command::new(lamina);
    command.args([ARGUMENT, &std::process::id().to_string(), "--"]).arg(program);
    command
}

/// What the guard does with the arguments behind its own: `PARENT -- PROGRAM ARGUMENTS…`. Returns when it can't.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let parent = args.next().and_then(|parent| parent.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(_), Some(program)) = (parent, args.next(), args.next()) else {
        return ExitCode::from(NOT_RUN);
    };
    if !die_with(parent) {
        return ExitCode::from(NOT_RUN);
    }
    let error = Command::new(&program).args(args).exec();
    // Whoever started it reads stderr, and finds the cause there.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("lamina: `{}` can't be run: {error}\n", program.to_string_lossy()),
    );
    ExitCode::from(NOT_RUN)
}

/// Asks for the signal, and whether the parent is still there to cause it.
///
/// SIGKILL and not SIGTERM: nobody is left to wait for a client that is slow to end, and BuildKit ends a step as fast
/// when its client is killed as when it says goodbye.
#[cfg(target_os = "linux")]
fn die_with(parent: i32) -> bool {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && getppid().is_some_and(|now| now.as_raw_nonzero().get() == parent)
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: i32) -> bool {
    true
}
