//! Real servers, called over real sockets: every refusal says what would be right.
