//! What tests share: a Redis server of their own, waiting on a condition, our own binaries.
