//! Empty: the dependencies are what this crate is for.
