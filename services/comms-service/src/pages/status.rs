//! The status page for people.

use minijinja::{Value, context};

use super::feed::{self, Entry};
use super::markup::{in_path, page, paragraphs, readable};
use super::published::{Incident, Published};
use super::summary::{component, overall};
use crate::channels::status_page::{impact_name, status_name};

const FEED: &str = "/history.atom";
const PAST_MAX: usize = 20; // The rest is in the feed.

/// The page.
pub(super) fn html(
    published: &Published,
    title: &str,
    components: &[String],
) -> Result<String, minijinja::Error> {
    let (indicator, description) = overall(published);
    let components: Vec<_> = components
        .iter()
        .map(|name| {
            let status = component(published, name);
            let readable = capitalized(&status.replace('_', " "));
            context! { name => name.clone(), status, readable }
        })
        .collect();
    let (past, active): (Vec<_>, Vec<_>) =
        published.incidents.iter().partition(|one| one.is_over());
    let active: Vec<_> = active.into_iter().map(shown).collect();
    let past: Vec<_> = past.into_iter().take(PAST_MAX).map(shown).collect();
    let content = context! { title, indicator, description, components, active, past };
    page("status.html", title, FEED, content)
}

/// Its history as a feed.
pub(super) fn atom(published: &Published, title: &str, base: &str) -> Result<String, feed::Error> {
    let entries = published.incidents.iter().map(|incident| Entry {
        id: format!("incident/{}", in_path(&incident.id)),
        title: incident.title.clone(),
        path: "/status".to_owned(),
        paragraphs: incident.updates.iter().rev().map(line).collect(),
        published: incident.began(),
        updated: incident.updated(),
    });
    feed::write(title, "status", (base, "/status", FEED), entries.collect())
}

fn line(update: &super::published::Update) -> String {
    let (status, at) = (capitalized(status_name(update.status)), readable(update.at));
    format!("{at}: {status} - {}", update.text)
}

fn shown(incident: &Incident) -> Value {
    let updates = incident.updates.iter().rev().map(|update| {
        context! {
            status => capitalized(status_name(update.status)),
            at => update.at.to_string(),
            at_readable => readable(update.at),
            paragraphs => paragraphs(&update.text),
        }
    });
    context! {
        title => incident.title.clone(),
        impact => impact_name(incident.impact),
        components => incident.components.clone(),
        began => incident.began().to_string(),
        began_readable => readable(incident.began()),
        test => incident.test,
        updates => updates.collect::<Vec<_>>(),
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use contracts::comms::status_update::{Impact, Status};
    use vocab::Timestamp;

    use super::super::published::{Post, Update};
    use super::super::{blog, markup};
    use super::*;

    const EVIL: &str = "</p><script>alert(1)</script><img src=x onerror=alert(1)> & \"'";

    fn evil() -> Published {
        let at = Timestamp::from_millis(1_795_719_600_000);
        let update = Update {
            id: "u".to_owned(),
            status: Status::Identified,
            text: format!("{EVIL}\n\nmore"),
            at,
        };
        let incident = |id: &str, status| Incident {
            id: id.to_owned(),
            title: EVIL.to_owned(),
            status,
            impact: Impact::Major,
            components: vec![EVIL.to_owned()],
            updates: vec![update.clone()],
            test: true,
        };
        let post = Post {
            id: EVIL.to_owned(),
            title: EVIL.to_owned(),
            text: format!("{EVIL}\u{0}\u{b}\n\nmore"),
            published: at,
            updated: Timestamp::from_millis(1_795_719_700_000),
            test: true,
        };
        let incidents =
            vec![incident("now", Status::Identified), incident("past", Status::Resolved)];
        Published { incidents, posts: vec![post], ..Published::default() }
    }

    #[test]
    fn every_page_renders_and_no_text_becomes_markup() {
        let published = evil();
        let pages = [
            html(&published, EVIL, &[EVIL.to_owned()]).unwrap(),
            blog::index(&published).unwrap(),
            blog::post(&published, EVIL).unwrap().unwrap(),
            atom(&published, EVIL, "https://status.example.com").unwrap(),
            blog::atom(&published, "https://status.example.com").unwrap(),
            html(&Published::default(), "Status", &[]).unwrap(),
            blog::index(&Published::default()).unwrap(),
        ];
        for page in pages {
            assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
            assert!(!page.contains("onerror=alert(1)>"), "{page}");
        }
        assert!(blog::post(&published, "other").is_none());
    }

    #[test]
    fn the_style_is_the_one_that_the_policy_names() {
        let page = html(&Published::default(), "Status", &[]).unwrap();
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(markup::style_hash().starts_with("'sha256-"));
        assert!(style.contains(":root{"), "it is not escaped: {style}");
    }
}
