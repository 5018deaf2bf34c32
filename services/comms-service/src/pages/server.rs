//! The pages over HTTP: read-only, for a proxy in front of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::Redirect;
use axum::routing::get;
use client::{Attribute, Context};
use serde_json::{Value as Json, json};
use service_kit::shutdown::Shutdown;
use service_kit::wire::time_of;
use tokio::net::TcpListener;
use vocab::WorkspaceId;

use super::limits::Bounded;
use super::reply::{Kind, refuse, reply};
use super::{Pages, blog, status, summary};

const TARGET_LENGTH_MAX: usize = 4 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_SIZE_MAX: usize = 0; // Nobody has anything to say here.

#[derive(Debug, Clone)]
struct Shelf {
    pages: Arc<Pages>,
    base: Arc<str>,
}

type Answer = Response<Body>;

/// Serves the pages until asked to end.
pub(crate) async fn serve(pages: Arc<Pages>, listener: TcpListener, shutdown: Shutdown) {
    let served = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let base = pages.base(&served).into();
    tracing::info!(address = served, "banners, blog and status page are served");
    let router = router(Shelf { pages, base });
    let serving =
        axum::serve(Bounded::new(listener), router).with_graceful_shutdown(shutdown.wait_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "pages are not served any more");
    }
}

fn router(shelf: Shelf) -> Router {
    Router::new()
        .route("/", get(async || Redirect::temporary("/status")))
        .route("/status", get(status_page))
        .route("/history.atom", get(history))
        .route("/api/v2/summary.json", get(summary_json))
        .route("/api/v2/status.json", get(status_json))
        .route("/api/v2/incidents.json", get(incidents_json))
        .route("/api/v2/incidents/unresolved.json", get(unresolved_json))
        .route("/blog", get(blog_index))
        .route("/blog/feed.atom", get(blog_feed))
        .route("/blog/{post}", get(blog_post))
        .route("/banners/{workspace}", get(banners))
        .fallback(async || nothing())
        .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
        .layer(from_fn(within_bounds))
        .with_state(shelf)
}

async fn within_bounds(request: Request, next: Next) -> Answer {
    if request.uri().to_string().len() > TARGET_LENGTH_MAX {
        return refuse(StatusCode::URI_TOO_LONG, Kind::Json, failure("the address is too long"));
    }
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, Kind::Json, failure("it took too long")),
    }
}

fn failure(why: &str) -> String {
    json!({"error": why}).to_string()
}

fn nothing() -> Answer {
    refuse(StatusCode::NOT_FOUND, Kind::Json, failure("there is nothing here"))
}

fn page<E: std::fmt::Display>(asked: &HeaderMap, kind: Kind, made: Result<String, E>) -> Answer {
    match made {
        Ok(body) => reply(asked, kind, body),
        Err(error) => {
            tracing::error!(%error, "a page cannot be made");
            let why = failure("the page cannot be made");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, Kind::Json, why)
        }
    }
}

async fn status_page(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    let published = shelf.pages.published();
    let parts = shelf.pages.parts(&published);
    let made = status::html(&published, &shelf.pages.title, &parts);
    page(&asked, Kind::Html, made)
}

async fn history(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    let made = status::atom(&shelf.pages.published(), &shelf.pages.title, &shelf.base);
    page(&asked, Kind::Atom, made)
}

async fn summary_json(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    let Shelf { pages, base } = &shelf;
    let published = pages.published();
    let made = summary::summary(&published, &pages.title, &pages.parts(&published), base);
    reply(&asked, Kind::Json, made.to_string())
}

async fn status_json(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    let made = summary::status(&shelf.pages.published(), &shelf.pages.title, &shelf.base);
    reply(&asked, Kind::Json, made.to_string())
}

async fn incidents_json(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    let Shelf { pages, base } = &shelf;
    let made = summary::incidents(&pages.published(), &pages.title, base, false);
    reply(&asked, Kind::Json, made.to_string())
}

async fn unresolved_json(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    let Shelf { pages, base } = &shelf;
    let made = summary::incidents(&pages.published(), &pages.title, base, true);
    reply(&asked, Kind::Json, made.to_string())
}

async fn blog_index(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    page(&asked, Kind::Html, blog::index(&shelf.pages.published()))
}

async fn blog_feed(State(shelf): State<Shelf>, asked: HeaderMap) -> Answer {
    page(&asked, Kind::Atom, blog::atom(&shelf.pages.published(), &shelf.base))
}

async fn blog_post(State(shelf): State<Shelf>, Path(id): Path<String>, asked: HeaderMap) -> Answer {
    match blog::post(&shelf.pages.published(), &id) {
        Some(made) => page(&asked, Kind::Html, made),
        None => nothing(),
    }
}

/// `/banners/ws-1?tier=gold`: what follows the `?` are attributes of the workspace, as texts.
async fn banners(
    State(shelf): State<Shelf>,
    Path(workspace): Path<String>,
    uri: Uri,
    asked: HeaderMap,
) -> Answer {
    let context = match context(&workspace, uri.query().unwrap_or_default()) {
        Ok(context) => context,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, Kind::Json, failure(&why.to_string())),
    };
    let shown = shelf.pages.shown_to(&context).await;
    let banners: Vec<Json> = shown.banners.iter().map(banner).collect();
    let body = json!({"banners": banners, "out_of_touch": shown.out_of_touch});
    reply(&asked, Kind::Json, body.to_string())
}

fn context(workspace: &str, query: &str) -> Result<Context, vocab::Invalid> {
    let mut context = Context::new(WorkspaceId::new(workspace)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        context = context.with(&decoded(name), Attribute::Text(decoded(value)))?;
    }
    Ok(context)
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

fn banner(banner: &contracts::comms::Banner) -> Json {
    json!({
        "name": banner.name,
        "title": banner.title,
        "text": banner.text,
        "flag": banner.flag,
        "flag_revision": banner.flag_revision,
        "revision": banner.revision,
        "create_time": time_of(banner.create_time.as_ref()).to_string(),
        "update_time": time_of(banner.update_time.as_ref()).to_string(),
        "test": banner.test,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_with_the_address() {
        let context = context("ws-1", "tier=gold+plus&x=%C3%A9&empty").unwrap();
        let text = |name: &str| context.attributes().get(name).cloned();
        assert_eq!(text("tier"), Some(Attribute::Text("gold plus".to_owned())));
        assert_eq!(text("x"), Some(Attribute::Text("é".to_owned())));
        assert_eq!(text("empty"), Some(Attribute::Text(String::new())));
    }

    #[test]
    fn who_asks_for_nobody_is_told_so() {
        assert!(context("a/b", "").is_err());
        assert!(context("ws-1", &format!("{}=1", "n".repeat(200))).is_err());
    }
}
