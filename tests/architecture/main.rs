//! The house inspector: what `docs` and `ARCHITECTURE.md` say of the plan is true of the code.

mod edges;
mod files;
mod seeded;
mod shape;
