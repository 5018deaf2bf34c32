//! Calls, so many in flight at a time.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::Error;
use crate::measure::Samples;

pub(crate) const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 4;

/// How a turn went.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) elapsed: Duration,
    pub(crate) p99: Duration,
}

pub(crate) async fn connect(address: &str) -> Result<Vec<Channel>, Error> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(address.to_owned())?.tcp_nodelay(true);
        channels.push(endpoint.connect().await?);
    }
    Ok(channels)
}

/// Makes `calls` calls in all. `call` is given a connection and the number of the call.
pub(crate) async fn turn<F, W>(channels: &[Channel], calls: usize, call: F) -> Result<Turn, Error>
where
    F: Fn(Channel, usize) -> W + Clone + Send + 'static,
    W: Future<Output = Result<(), Error>> + Send,
{
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for (caller, channel) in (0..IN_FLIGHT).zip(channels.iter().cycle()) {
        let (channel, call) = (channel.clone(), call.clone());
        callers.spawn(async move {
            let mut times = Vec::with_capacity(calls / IN_FLIGHT);
            for number in (caller..calls).step_by(IN_FLIGHT) {
                let begun = Instant::now();
                call(channel.clone(), number).await?;
                times.push(begun.elapsed());
            }
            Ok::<_, Error>(times)
        });
    }
    let mut times = Vec::with_capacity(calls);
    while let Some(called) = callers.join_next().await {
        times.extend(called??);
    }
    let elapsed = begun.elapsed();
    let times: Samples = times.into_iter().collect();
    Ok(Turn { elapsed, p99: times.quantile(99) })
}
