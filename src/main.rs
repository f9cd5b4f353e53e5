//! The `lamina` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    lamina::commands::run(std::env::args_os())
}
