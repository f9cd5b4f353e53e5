//! `lamina-cook` compiles a dependency set into a layer and writes down what came of it: the unit manifest that
//! `lamina suggest`, `lamina warm` and the layer's next cook read.
//!
//! Where to start reading: `args` for what it is asked, `cook` for what it does.

mod args;
mod cargo;
mod cook;
mod cpu;
mod donor;
mod environment;
mod failure;
mod files;
mod fingerprints;
mod graph;
mod manifest;
mod prune;
mod sccache;

use std::path::Path;
use std::process::ExitCode;

use args::{HELP, Request};

fn main() -> ExitCode {
    let mut words = std::env::args_os().peekable();
    if sccache::is_compiler(words.next().as_deref()) {
        return cpu::compiler(words.collect());
    }
    let is_program = words.peek().is_some_and(|word| !word.as_encoded_bytes().starts_with(b"-"));
    if let Some(records) = std::env::var_os(cpu::RECORDS).filter(|_| is_program) {
        return cpu::wrapper(Path::new(&records), words);
    }
    let result = Request::parse(words.map(|word| word.to_string_lossy().into_owned())).and_then(|request| {
        match request {
            Request::Help => print!("{HELP}"),
            Request::Version => println!("lamina-cook {}", env!("CARGO_PKG_VERSION")),
            Request::Cook(options) => cook::cook(&options)?,
            Request::Run(command) => return cargo::run(&command),
        }
        Ok(ExitCode::SUCCESS)
    });
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("lamina-cook: {failure}");
            failure.exit_code()
        }
    }
}
