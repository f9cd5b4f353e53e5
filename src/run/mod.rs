//! Running a plan: who may start when (`scheduler`), what a build is called with and sent (`staging`), and what joins
//! them with engine, registry and proof (`live`). Everything that happens is an event; nothing here knows how it looks.

// pub mod cache;
pub mod scheduler;
// pub mod secrets;
// pub mod staging;
