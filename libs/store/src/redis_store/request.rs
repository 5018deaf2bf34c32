//! What is sent to a server, in whichever form.

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, Pipeline, RedisError, Value};
use tracing::Span;

use super::script::Call;

/// Something to be sent. All keys of it are in one slot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    /// A command that changes nothing.
    Read(&'a Cmd),
    /// Commands that change nothing.
    Reads(&'a Pipeline),
    /// A script, which may change something.
    Script(&'a Call<'a>),
}

impl<'a> Request<'a> {
    /// The key that says which server has what is asked for.
    pub(super) fn key(self) -> &'a [u8] {
        match self {
            Self::Read(command) => key_of(command),
            Self::Reads(pipeline) => pipeline.cmd_iter().next().map(key_of).unwrap_or_default(),
            Self::Script(call) => call.first_key(),
        }
    }

    /// A client's span by OpenTelemetry's conventions for databases, where somebody's trace goes on
    /// here; what is asked on nobody's behalf, such as news of a stream, makes no trace of its own.
    pub(super) fn span(self) -> Span {
        if Span::current().is_none() {
            return Span::none();
        }
        let operation = match self {
            Self::Read(command) => word(command),
            Self::Reads(_) => "PIPELINE",
            Self::Script(_) => "EVALSHA",
        };
        tracing::info_span!(
            "redis",
            otel.name = operation,
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = operation,
        )
    }

    /// Whether it may be sent again where it is not known whether it was carried out.
    pub(super) fn is_repeatable(self) -> bool {
        match self {
            Self::Read(_) | Self::Reads(_) => true,
            Self::Script(_) => false,
        }
    }

    /// Sends it; with `asking`, to a server that is only about to get the slot.
    pub(super) async fn send(
        self,
        connection: &MultiplexedConnection,
        asking: bool,
    ) -> Result<Value, RedisError> {
        let mut connection = connection.clone();
        match self {
            Self::Read(command) => send(&mut connection, command, asking).await,
            Self::Reads(pipeline) => pipeline.query_async(&mut connection).await,
            Self::Script(call) => match send(&mut connection, call.by_digest(), asking).await {
                Err(error) if error.code() == Some("NOSCRIPT") => {
                    Box::pin(send(&mut connection, &call.by_code(), asking)).await
                }
                answer => answer,
            },
        }
    }
}

/// The command's own word.
fn word(command: &Cmd) -> &str {
    match command.args_iter().next() {
        Some(Arg::Simple(word)) => std::str::from_utf8(word).unwrap_or_default(),
        Some(_) | None => "",
    }
}

async fn send(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    asking: bool,
) -> Result<Value, RedisError> {
    if !asking {
        return command.query_async(connection).await;
    }
    let mut both = redis::pipe();
    both.cmd("ASKING").ignore().add_command(command.clone());
    let (answer,) = Box::pin(both.query_async::<(Value,)>(connection)).await?;
    Ok(answer)
}

/// The key of a command of ours: the first argument, or, of `XREAD`, the one after `STREAMS`.
pub(super) fn key_of(command: &Cmd) -> &[u8] {
    let mut arguments = command
        .args_iter()
        .filter_map(|argument| if let Arg::Simple(bytes) = argument { Some(bytes) } else { None });
    if arguments.next() == Some(b"XREAD") {
        arguments.by_ref().find(|argument| argument == b"STREAMS");
    }
    arguments.next().unwrap_or_default()
}
