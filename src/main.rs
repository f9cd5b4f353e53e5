//! The command line.

fn main() {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == "__evaluate") {
        lamina::catalog::eval::worker_main();
    }
}
