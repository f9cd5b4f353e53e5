//! Proof and promotion: probes in clean containers of a pushed image, and tags for people that move only when all is
//! good.
