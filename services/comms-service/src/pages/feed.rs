//! Atom feeds (RFC 4287). Ids are tags (RFC 4151): they stay, wherever the pages are moved to.

use atom_syndication::{Content, Entry as Written, Feed, Generator, Link, Person, Text, TextType};
use vocab::Timestamp;

pub(super) type Error = atom_syndication::Error;

/// An entry of a feed.
#[derive(Debug)]
pub(super) struct Entry {
    /// Within our tags, e.g. `blog/ga`.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) path: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) published: Timestamp,
    pub(super) updated: Timestamp,
}

/// Writes a feed. `places`: where the pages are reached, and there the page and the feed.
pub(super) fn write(
    title: &str,
    id: &str,
    places: (&str, &str, &str),
    entries: Vec<Entry>,
) -> Result<String, Error> {
    let (base, page, own) = places;
    let updated = entries.iter().map(|entry| entry.updated).max().unwrap_or(Timestamp::EPOCH);
    let entries: Vec<_> = entries.into_iter().map(|entry| written(entry, base)).collect();
    let mut feed = Feed::default();
    feed.set_title(plain(title));
    feed.set_id(tag(id));
    feed.set_updated(date(updated));
    feed.set_authors(vec![Person { name: "Softlaunch".to_owned(), ..Person::default() }]);
    feed.set_generator(Generator { value: "Softlaunch".to_owned(), ..Generator::default() });
    feed.set_links(vec![link("alternate", base, page), link("self", base, own)]);
    feed.set_entries(entries);
    let bytes = feed.write_to(Vec::new())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn written(entry: Entry, base: &str) -> Written {
    let mut written = Written::default();
    written.set_title(plain(&entry.title));
    written.set_id(tag(&entry.id));
    written.set_published(date(entry.published));
    written.set_updated(date(entry.updated));
    written.set_links(vec![link("alternate", base, &entry.path)]);
    let html: String = entry.paragraphs.iter().map(|text| paragraph(text)).collect();
    let mut content = Content::default();
    content.set_value(html);
    content.set_content_type("html".to_owned());
    written.set_content(content);
    written
}

/// As HTML, which the feed then escapes once more.
fn paragraph(text: &str) -> String {
    let escaped = visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{}</p>", escaped.replace('\n', "<br>"))
}

fn plain(text: &str) -> Text {
    Text { value: visible(text), base: None, lang: None, r#type: TextType::Text }
}

/// Without what XML cannot hold.
fn visible(text: &str) -> String {
    let fits = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(fits).filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}

fn link(rel: &str, base: &str, path: &str) -> Link {
    Link { rel: rel.to_owned(), href: format!("{base}{path}"), ..Link::default() }
}

fn tag(id: &str) -> String {
    format!("tag:softlaunch.invalid,2026:{id}")
}

fn date(time: Timestamp) -> atom_syndication::FixedDateTime {
    // Before 1970 and after 9999 there is nothing to tell.
    time.to_string().parse().unwrap_or_default()
}
