//! The blog: its posts as pages and as a feed.

use minijinja::{Value, context};

use super::feed::{self, Entry};
use super::markup::{in_path, page, paragraphs, readable};
use super::published::{Post, Published};

const FEED: &str = "/blog/feed.atom";

fn path(post: &Post) -> String {
    format!("/blog/{}", in_path(&post.id))
}

fn shown(post: &Post) -> Value {
    context! {
        path => path(post),
        title => post.title.clone(),
        paragraphs => paragraphs(&post.text),
        published => post.published.to_string(),
        published_readable => readable(post.published),
        updated => post.updated.to_string(),
        updated_readable => readable(post.updated),
        test => post.test,
    }
}

/// All posts on one page.
pub(super) fn index(published: &Published) -> Result<String, minijinja::Error> {
    let posts: Vec<_> = published.posts.iter().map(shown).collect();
    page("blog.html", "Blog", FEED, context! { posts })
}

/// One post; `None` where there is no such.
pub(super) fn post(published: &Published, id: &str) -> Option<Result<String, minijinja::Error>> {
    let post = published.posts.iter().find(|post| post.id == id)?;
    Some(page("post.html", &post.title, FEED, context! { post => shown(post) }))
}

/// The feed.
pub(super) fn atom(published: &Published, base: &str) -> Result<String, feed::Error> {
    let entries = published.posts.iter().map(|post| Entry {
        id: format!("blog/{}", in_path(&post.id)),
        title: post.title.clone(),
        path: path(post),
        paragraphs: paragraphs(&post.text),
        published: post.published,
        updated: post.updated,
    });
    feed::write("Blog", "blog", (base, "/blog", FEED), entries.collect())
}
