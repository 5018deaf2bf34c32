//! `softlaunch up`: everything in one process, until it is asked to end.

use std::net::SocketAddr;

use service_kit::clock::Clock;
use service_kit::shutdown;

use crate::allinone::{AllInOne, Placement, comms_settings, start_services};
use crate::arguments::UpArguments;
use crate::clockfile;
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::output::say;
use crate::secured::Secured;

pub(crate) async fn run(
    arguments: &UpArguments,
    metrics_page: Option<SocketAddr>,
) -> Result<(), Failure> {
    std::fs::create_dir_all(&arguments.data_dir).map_err(|error| {
        Failure::refused(format!("cannot create {}: {error}", arguments.data_dir.display()))
    })?;
    let clock = match arguments.demo_factor {
        Some(factor) => Clock::new(Some(clockfile::keep(&arguments.data_dir, factor)?)),
        None => clockfile::clock(&arguments.data_dir)?,
    };
    if let Some(demo) = clock.demo() {
        let now = clock.now();
        say(format!("DEMO CLOCK: one second is {} seconds; it is {now}", demo.factor));
    }
    let placement = Placement {
        data_dir: arguments.data_dir.clone(),
        free_ports: arguments.free_ports,
        secure: arguments.secure.as_deref().map(Secured::find).transpose()?,
        clock,
        comms: comms_settings(arguments.comms_settings.as_deref())?,
    };
    let running = start_services(placement).await?;
    introduce(&running, metrics_page, arguments);
    until_asked(running).await
}

/// Serves until Ctrl-C, SIGTERM or the failure of a service.
pub(crate) async fn until_asked(mut running: AllInOne) -> Result<(), Failure> {
    let mut asked = shutdown::signal();
    let failed = tokio::select! {
        () = asked.wait() => None,
        failure = running.failed() => Some(failure),
    };
    running.end().await;
    failed.map_or(Ok(()), Err)
}

fn introduce(running: &AllInOne, metrics_page: Option<SocketAddr>, arguments: &UpArguments) {
    let data = arguments.data_dir.display();
    let endpoints = &running.endpoints;
    let Endpoints { flag, gate, killswitch, comms, rollout } = endpoints;
    say(format!("Softlaunch is up, on the embedded store in {data} (Ctrl-C ends it)."));
    say(format!("  flag        {flag}\n  gate        {gate}\n  killswitch  {killswitch}"));
    say(format!("  comms       {comms}\n  rollout     {rollout}"));
    say(format!("  pages       http://{}/status and /blog, /banners/WORKSPACE", running.pages));
    if let Some(page) = metrics_page {
        say(format!("  metrics     http://{page}/metrics"));
    }
    let (shown, name) = match &arguments.secure {
        Some(dir) => {
            say(format!("Guarded by the certificates and tokens of {}.", dir.display()));
            (format!(" --tls-ca {}/ca.pem --token-file FILE", dir.display()), "")
        }
        None => (String::new(), " --as ada"),
    };
    let option = if *endpoints == Endpoints::local(arguments.secure.is_some()) {
        String::new()
    } else {
        format!(" --endpoints {data}/{}", crate::endpoints::FILE)
    };
    say("Three things to try next, in another terminal:");
    say(format!("  softlaunch{option}{shown} plan show"));
    say(format!("  softlaunch{option}{shown} rollout start{name}"));
    say(format!("  softlaunch{option}{shown} kill status"));
}
