//! What was published, as a function of what was sent.

use std::collections::BTreeMap;

use contracts::comms as pb;
use contracts::comms::message::{Content, State};
use contracts::comms::status_update::{Impact, Status};
use plan::ChannelKind;
use service_kit::wire::time_of;
use vocab::Timestamp;

/// The newest of each are kept; what is older is in the record of messages.
const POSTS_MAX: usize = 200;
const INCIDENTS_MAX: usize = 200;

/// All that pages show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Published {
    /// The record it was made from.
    pub(super) revision: u64,
    /// Newest first; withdrawn ones are not among them.
    pub(super) banners: Vec<Banner>,
    /// Newest first.
    pub(super) posts: Vec<Post>,
    /// Newest first.
    pub(super) incidents: Vec<Incident>,
}

/// A banner in the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Banner {
    pub(super) id: String,
    pub(super) flag: String,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) revision: i64,
    pub(super) test: bool,
}

/// A post on the blog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) published: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) test: bool,
}

/// An incident on the status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) status: Status,
    pub(super) impact: Impact,
    pub(super) components: Vec<String>,
    /// Oldest first; there is one at least.
    pub(super) updates: Vec<Update>,
    pub(super) test: bool,
}

/// What was said of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) text: String,
    pub(super) at: Timestamp,
}

impl Incident {
    pub(super) fn is_over(&self) -> bool {
        self.status == Status::Resolved
    }

    pub(super) fn began(&self) -> Timestamp {
        self.updates.first().map_or(Timestamp::EPOCH, |update| update.at)
    }

    pub(super) fn updated(&self) -> Timestamp {
        self.updates.last().map_or(Timestamp::EPOCH, |update| update.at)
    }
}

impl Published {
    /// Goes through messages in the order they were made in; only those that were sent count.
    pub(super) fn of<'a>(
        messages: impl Iterator<Item = (Option<ChannelKind>, &'a pb::Message)>,
        revision: u64,
    ) -> Self {
        let (mut banners, mut posts) = (BTreeMap::new(), BTreeMap::new());
        let mut incidents = BTreeMap::new();
        let sent = messages.filter(|(_, message)| message.state() == State::Sent);
        for (place, (kind, message)) in sent.enumerate() {
            match kind {
                Some(ChannelKind::Banner) => note_banner(&mut banners, place, message),
                Some(ChannelKind::Blog) => note_post(&mut posts, place, message),
                Some(ChannelKind::StatusPage) => note_update(&mut incidents, place, message),
                Some(
                    ChannelKind::Slack
                    | ChannelKind::Mail
                    | ChannelKind::Meeting
                    | ChannelKind::Webhook,
                )
                | None => {}
            }
        }
        let banners = newest_first(banners, usize::MAX).into_iter().flatten().collect();
        let posts = newest_first(posts, POSTS_MAX);
        let incidents = newest_first(incidents, INCIDENTS_MAX);
        Self { revision, banners, posts, incidents }
    }
}

/// By id, each with the place where it first came up.
type Noted<T> = BTreeMap<String, (usize, T)>;

fn newest_first<T>(noted: Noted<T>, most: usize) -> Vec<T> {
    let mut all: Vec<_> = noted.into_values().collect();
    all.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    all.into_iter().take(most).map(|(_, one)| one).collect()
}

/// `None` once it was withdrawn; it may be shown again later.
fn note_banner(noted: &mut Noted<Option<Banner>>, place: usize, message: &pb::Message) {
    let Some(Content::Banner(content)) = &message.content else { return };
    let updated = time_of(message.create_time.as_ref());
    let (_, known) = noted.entry(content.banner.clone()).or_insert((place, None));
    *known = (!content.withdrawn).then(|| Banner {
        id: content.banner.clone(),
        flag: content.flag.clone(),
        title: message.subject.clone(),
        text: message.body.clone(),
        created: known.as_ref().map_or(updated, |before| before.created),
        updated,
        revision: message.revision,
        test: message.test,
    });
}

fn note_post(noted: &mut Noted<Post>, place: usize, message: &pb::Message) {
    let id = match &message.content {
        Some(Content::BlogPost(content)) if !content.post.is_empty() => content.post.clone(),
        Some(_) | None => own_id(message),
    };
    let updated = time_of(message.create_time.as_ref());
    let published = noted.get(&id).map_or(updated, |(_, before)| before.published);
    let post = Post {
        id: id.clone(),
        title: message.subject.clone(),
        text: message.body.clone(),
        published,
        updated,
        test: message.test,
    };
    let place = noted.get(&id).map_or(place, |(first, _)| *first);
    noted.insert(id, (place, post));
}

fn note_update(noted: &mut Noted<Incident>, place: usize, message: &pb::Message) {
    let content = match &message.content {
        Some(Content::StatusUpdate(content)) => content.clone(),
        Some(_) | None => pb::StatusUpdate::default(),
    };
    let id = if content.incident.is_empty() { own_id(message) } else { content.incident.clone() };
    let said = Some(content.status()).filter(|status| *status != Status::Unspecified);
    let status = said.unwrap_or(Status::Investigating);
    let update = Update {
        id: own_id(message),
        status,
        text: message.body.clone(),
        at: time_of(message.create_time.as_ref()),
    };
    let (_, incident) = noted.entry(id.clone()).or_insert_with(|| {
        let (title, test) = (message.subject.clone(), message.test);
        let (impact, components) = (Impact::Unspecified, Vec::new());
        (place, Incident { id, title, status, impact, components, updates: Vec::new(), test })
    });
    incident.status = status;
    if content.impact() != Impact::Unspecified {
        incident.impact = content.impact();
    }
    if !content.components.is_empty() {
        incident.components = content.components;
    }
    incident.updates.push(update);
}

fn own_id(message: &pb::Message) -> String {
    message.name.trim_start_matches("messages/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: i64, content: Content) -> pb::Message {
        pb::Message {
            name: format!("messages/m{number}"),
            subject: format!("subject {number}"),
            body: format!("body {number}"),
            state: State::Sent.into(),
            create_time: Some(prost_types::Timestamp { seconds: number, nanos: 0 }),
            revision: number,
            content: Some(content),
            ..pb::Message::default()
        }
    }

    fn published(kind: ChannelKind, messages: &[pb::Message]) -> Published {
        Published::of(messages.iter().map(|one| (Some(kind), one)), 9)
    }

    fn banner(number: i64, banner: &str, withdrawn: bool) -> pb::Message {
        let (banner, flag) = (banner.to_owned(), "flags/f".to_owned());
        message(number, Content::Banner(pb::BannerContent { banner, flag, withdrawn }))
    }

    fn update(number: i64, status: Status, components: &[&str]) -> pb::Message {
        let components = components.iter().map(|one| (*one).to_owned()).collect();
        let (incident, status) = ("i1".to_owned(), status.into());
        let impact = Impact::Major.into();
        message(
            number,
            Content::StatusUpdate(pb::StatusUpdate { incident, status, impact, components }),
        )
    }

    #[test]
    fn a_banner_is_there_until_it_is_withdrawn_and_keeps_when_it_was_made() {
        let kind = ChannelKind::Banner;
        let shown =
            published(kind, &[banner(1, "a", false), banner(2, "b", false), banner(3, "a", false)]);
        let ids: Vec<_> = shown.banners.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["b", "a"]);
        assert_eq!(shown.banners[1].title, "subject 3");
        assert_eq!(shown.banners[1].created, Timestamp::from_millis(1_000));
        let gone = published(kind, &[banner(1, "a", false), banner(2, "a", true)]);
        assert!(gone.banners.is_empty());
    }

    #[test]
    fn only_what_was_sent_is_published() {
        let mut pending = banner(1, "a", false);
        pending.state = State::Pending.into();
        assert!(published(ChannelKind::Banner, &[pending]).banners.is_empty());
        assert_eq!(published(ChannelKind::Slack, &[banner(1, "a", false)]).banners, []);
    }

    #[test]
    fn a_post_that_is_changed_stays_the_same_post() {
        let post =
            |number| message(number, Content::BlogPost(pb::BlogPost { post: "ga".to_owned() }));
        let shown = published(ChannelKind::Blog, &[post(1), post(5)]);
        let [one] = shown.posts.as_slice() else { panic!("one post: {shown:?}") };
        assert_eq!(
            (one.title.as_str(), one.published),
            ("subject 5", Timestamp::from_millis(1_000))
        );
        assert_eq!(one.updated, Timestamp::from_millis(5_000));
    }

    #[test]
    fn an_incident_is_what_its_last_update_says_and_keeps_the_others() {
        let told =
            [update(1, Status::Investigating, &["Uploads"]), update(2, Status::Resolved, &[])];
        let shown = published(ChannelKind::StatusPage, &told);
        let [incident] = shown.incidents.as_slice() else { panic!("one incident: {shown:?}") };
        assert!(incident.is_over());
        assert_eq!((incident.title.as_str(), incident.updates.len()), ("subject 1", 2));
        assert_eq!(
            (incident.impact, incident.components.as_slice()),
            (Impact::Major, &["Uploads".to_owned()][..])
        );
    }
}
