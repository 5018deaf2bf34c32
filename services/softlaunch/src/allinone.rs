//! All five services in one process, over one embedded store.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use service_kit::access::Noun;
use service_kit::bootstrap::{Dependencies, Error, ServiceSettings, bound};
use service_kit::clock::Clock;
use service_kit::settings;
use service_kit::shutdown::{self, Trigger};
use store::{Location, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::secured::Secured;

/// Where and how the services run.
#[derive(Debug)]
pub(crate) struct Placement {
    /// Where data is kept.
    pub(crate) data_dir: PathBuf,
    /// Free ports instead of the documented ones.
    pub(crate) free_ports: bool,
    /// Where the certificates and tokens are that guard the services; open where `None`.
    pub(crate) secure: Option<Secured>,
    /// What time it is.
    pub(crate) clock: Clock,
    /// Settings of the communications service.
    pub(crate) comms: comms_service::Settings,
}

/// The services, running.
#[derive(Debug)]
pub(crate) struct AllInOne {
    /// Where they are.
    pub(crate) endpoints: Endpoints,
    /// Where banners, blog and status page are.
    pub(crate) pages: SocketAddr,
    trigger: Trigger,
    tasks: JoinSet<(&'static str, Result<(), Error>)>,
}

struct Sockets {
    flag: TcpListener,
    gate: TcpListener,
    killswitch: TcpListener,
    comms: TcpListener,
    rollout: TcpListener,
    pages: TcpListener,
}

impl Sockets {
    /// `pages`: where they are to be served, if somebody has set it.
    async fn bind(free_ports: bool, pages: Option<SocketAddr>) -> Result<Self, Failure> {
        let on = async |address: SocketAddr| {
            bound(address).await.map_err(|error| {
                Failure::refused(format!("{error}: is it running already? try --free-ports"))
            })
        };
        let at = async |port: u16| {
            let port = if free_ports { 0 } else { port };
            on(([127, 0, 0, 1], port).into()).await
        };
        let pages = match pages {
            Some(address) => on(address).await?,
            None => at(7107).await?,
        };
        Ok(Self {
            pages,
            flag: at(7101).await?,
            gate: at(7102).await?,
            killswitch: at(7103).await?,
            comms: at(7104).await?,
            rollout: at(7105).await?,
        })
    }

    fn endpoints(&self, scheme: &str) -> Result<Endpoints, Error> {
        let at = |listener: &TcpListener| {
            listener.local_addr().map(|address| format!("{scheme}://{address}"))
        };
        Ok(Endpoints {
            flag: at(&self.flag)?,
            gate: at(&self.gate)?,
            killswitch: at(&self.killswitch)?,
            comms: at(&self.comms)?,
            rollout: at(&self.rollout)?,
        })
    }
}

fn defaults<S: ServiceSettings>() -> Result<S, Error> {
    Ok(settings::defaults(S::DEFAULTS)?)
}

/// The settings of the communications service: its defaults, then a file.
pub(crate) fn comms_settings(file: Option<&Path>) -> Result<comms_service::Settings, Failure> {
    let read = settings::load(comms_service::Settings::DEFAULTS, file);
    read.map_err(|error| Failure::usage(error.to_string()))
}

/// Starts everything. The addresses are written to `endpoints.toml` in the data directory.
pub(crate) async fn start_services(placement: Placement) -> Result<AllInOne, Failure> {
    let Placement { data_dir, free_ports, secure, clock, comms } = placement;
    std::fs::create_dir_all(&data_dir).map_err(|error| {
        Failure::refused(format!("cannot create {}: {error}", data_dir.display()))
    })?;
    let set = comms.pages_address().map_err(|error| Failure::usage(error.to_string()))?;
    let sockets = Sockets::bind(free_ports, set).await?;
    let endpoints = sockets.endpoints(if secure.is_some() { "https" } else { "http" })?;
    let pages = sockets.pages.local_addr().map_err(|error| Failure::refused(error.to_string()))?;
    let location = Location::Embedded(data_dir.clone());
    let store = Store::open(&location, Arc::new(service_kit::clock::real_now))
        .await
        .map_err(|error| Failure::refused(error.to_string()))?;
    endpoints.write(&data_dir)?;
    let (trigger, tasks) = spawn(sockets, &endpoints, (&store, &clock), comms, secure.as_ref())?;
    Ok(AllInOne { endpoints, pages, trigger, tasks })
}

type Running = (Trigger, JoinSet<(&'static str, Result<(), Error>)>);

fn spawn(
    sockets: Sockets,
    endpoints: &Endpoints,
    (store, clock): (&Store, &Clock),
    mut comms: comms_service::Settings,
    secure: Option<&Secured>,
) -> Result<Running, Error> {
    let (trigger, shutdown) = shutdown::channel();
    let mut tasks = JoinSet::new();
    macro_rules! run {
        ($name:literal, $service:ident, $settings:expr, $listener:expr) => {{
            let (settings, listener) = ($settings, $listener);
            let dependencies = Dependencies { store: store.clone(), clock: clock.clone() };
            let serving = $service::serve(settings, dependencies, listener, shutdown.clone());
            tasks.spawn(async move { ($name, serving.await) });
        }};
    }
    macro_rules! guard {
        ($settings:ident, $noun:ident) => {
            if let Some(secure) = secure {
                secure.guard(Noun::$noun, &mut $settings.server, &mut $settings.identity);
            }
        };
        ($settings:ident, $noun:ident, with peers) => {
            guard!($settings, $noun);
            if let Some(secure) = secure {
                let files = secure.files(Noun::$noun);
                let peers = &mut $settings.peers;
                [peers.tls_ca_file, peers.tls_cert_file, peers.tls_key_file] = files;
            }
        };
    }
    let mut killswitch: killswitch_service::Settings = defaults()?;
    guard!(killswitch, Killswitch);
    run!("killswitch-service", killswitch_service, killswitch, sockets.killswitch);
    let mut flag: flag_service::Settings = defaults()?;
    flag.peers.killswitch.clone_from(&endpoints.killswitch);
    guard!(flag, Flag, with peers);
    run!("flag-service", flag_service, flag, sockets.flag);
    let mut gate: gate_service::Settings = defaults()?;
    gate.peers.killswitch.clone_from(&endpoints.killswitch);
    gate.peers.comms.clone_from(&endpoints.comms);
    guard!(gate, Gate, with peers);
    run!("gate-service", gate_service, gate, sockets.gate);
    let mut rollout: rollout_service::Settings = defaults()?;
    rollout.peers.flag.clone_from(&endpoints.flag);
    rollout.peers.gate.clone_from(&endpoints.gate);
    rollout.peers.killswitch.clone_from(&endpoints.killswitch);
    guard!(rollout, Rollout, with peers);
    run!("rollout-service", rollout_service, rollout, sockets.rollout);
    comms.peers.rollout.clone_from(&endpoints.rollout);
    comms.peers.killswitch.clone_from(&endpoints.killswitch);
    comms.peers.gate.clone_from(&endpoints.gate);
    comms.peers.flag.clone_from(&endpoints.flag);
    guard!(comms, Comms, with peers);
    let dependencies = Dependencies { store: store.clone(), clock: clock.clone() };
    let sockets = (sockets.comms, Some(sockets.pages));
    let serving = comms_service::serve_with_pages(comms, dependencies, sockets, shutdown);
    tasks.spawn(async move { ("comms-service", serving.await) });
    Ok((trigger, tasks))
}

impl AllInOne {
    /// Waits until a service fails, or forever.
    pub(crate) async fn failed(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(Ok((name, Err(error)))) => Failure::refused(format!("{name}: {error}")),
            Some(Ok((name, Ok(())))) => Failure::refused(format!("{name} ended by itself")),
            Some(Err(error)) => Failure::refused(format!("a service broke: {error}")),
            None => std::future::pending().await,
        }
    }

    /// Ends everything and waits for it.
    pub(crate) async fn end(mut self) {
        self.trigger.shut_down();
        while self.tasks.join_next().await.is_some() {}
    }
}
