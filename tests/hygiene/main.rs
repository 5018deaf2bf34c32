//! What the house is built of: licences, sources, versions, known holes.

mod licences;
mod versions;
