//! Writes a synthetic catalog: `cargo run --release --example synthetic -- 1000 FOLDER`.

#[path = "../benches/synthetic/mod.rs"]
mod synthetic;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [number, folder] = &args[..] else {
        eprintln!("usage: synthetic LAYERS FOLDER");
        return ExitCode::from(2);
    };
    let Ok(layers) = number.parse() else {
        eprintln!("synthetic: `{number}` is no number of layers");
        return ExitCode::from(2);
    };
    match synthetic::write(Path::new(folder), layers) {
        Ok(()) => {
            eprintln!("{folder}: {layers} layers, the last one is {}", synthetic::name(layers.saturating_sub(1)));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("synthetic: {folder} can't be written: {error}");
            ExitCode::FAILURE
        }
    }
}
