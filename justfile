# The recipes that CI runs, by the same names.

# List the recipes
default:
    @just --list

# Compile the program
build:
    cargo build --locked

# Run all tests
test:
    cargo test --locked

# Check the formatting
fmt:
    cargo fmt --check

# Run clippy; a warning is an error
lint:
    cargo clippy --all-targets --locked -- -D warnings

# Build the API documentation; a warning is an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Write the manual pages into FOLDER
man FOLDER:
    cargo run --locked -- man --out {{FOLDER}}

# Check this repository's catalog
validate:
    cargo run --locked -- validate --check-dag

# Write the build graphs of all cooked sets beside their locks (asks cargo; crates that are missing are fetched)
crates-snapshot:
    cargo run --locked -- crates snapshot --write

# Compare the build graphs of all cooked sets with what cargo says now
crates-check:
    cargo run --locked -- crates snapshot --check

# Measure against the targets of docs/performance.md
bench:
    cargo bench --locked --bench targets
    cargo bench --locked --bench registry

# Measure builds against `docker buildx bake`; needs an engine and a registry (benches/build.rs)
bench-build:
    cargo bench --locked --bench build

# Build a small catalog under a thousand random faults; needs an engine and a registry (tests/soak)
soak:
    cargo test --release --locked --test soak -- --ignored --nocapture

# Run SEEDS simulated runs under a virtual clock (tests/simulation)
simulate SEEDS="100000":
    LAMINA_SEEDS={{SEEDS}} cargo test --release --locked --test simulation -- --nocapture

# Run the simulated run of SEED again, and print all that happens in it
replay SEED:
    LAMINA_SEED={{SEED}} cargo test --locked --test simulation -- --nocapture

# Write a synthetic catalog of LAYERS layers into FOLDER
synthetic LAYERS FOLDER:
    cargo run --release --locked --example synthetic -- {{LAYERS}} {{FOLDER}}

# Fuzz TARGET until it is stopped, or as OPTIONS say: `just fuzz tag -runs=1000000` (needs cargo-fuzz)
fuzz TARGET *OPTIONS:
    mkdir -p fuzz/corpus/{{TARGET}}
    cargo fuzz run --sanitizer none {{TARGET}} fuzz/corpus/{{TARGET}} fuzz/seeds/{{TARGET}} -- -max_len=4096 {{OPTIONS}}

# Check the licences of all dependencies (needs cargo-deny)
licences:
    cargo deny --locked check licenses

# Check the formatting of lamina-cook, run clippy and its tests
cook:
    cargo fmt --check --manifest-path layers/rust/cook/Cargo.toml
    cargo clippy --all-targets --locked --manifest-path layers/rust/cook/Cargo.toml --target-dir target/cook -- -D warnings
    cargo test --locked --manifest-path layers/rust/cook/Cargo.toml --target-dir target/cook

# Run what CI runs
ci: fmt lint test cook doc validate
