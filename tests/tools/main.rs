//! Tools from other houses understand the contracts.
