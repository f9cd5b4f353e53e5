//! What is kept of runs on this machine: their events, the logs of their layers, how long layers took. All of it may be
//! deleted at any time and costs only estimates.
