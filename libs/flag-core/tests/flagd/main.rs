//! Definitions in flagd's words: read, evaluated and written as flagd does.

mod agreeing;
mod exporting;
mod forms;
mod hostile;
mod importing;
