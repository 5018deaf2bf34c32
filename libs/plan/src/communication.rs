//! Who is told of what, and where.

use std::time::Duration;

use vocab::{Pattern, PhaseId, ResourceId, Role};

use crate::named::named;

/// The communication plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Communication {
    /// Where messages go.
    pub channels: Vec<Channel>,
    /// Who they are for.
    pub audiences: Vec<Audience>,
    /// Which event sends what.
    pub messages: Vec<Message>,
    /// Mail addresses of people, teams and clients.
    pub contacts: Vec<Contact>,
    /// Texts that take the place of those that come with Softlaunch.
    pub templates: Vec<Template>,
    /// Triggers whose firing clients feel. A global pause, a kill and a rollback they always do.
    pub client_facing: Vec<ResourceId>,
    /// When messages of low urgency wait.
    pub quiet_hours: Option<QuietHours>,
    /// Messages of low urgency are sent at multiples of this, each as one of its own.
    pub digest_every: Option<Duration>,
    /// Who is told when nobody acknowledges that a review is due.
    pub escalation: Option<Escalation>,
}

/// Somebody who can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Id, e.g. `engineering`.
    pub id: ResourceId,
    /// Mail addresses.
    pub addresses: Vec<String>,
    /// Roles it stands for.
    pub roles: Vec<Role>,
    /// Workspaces of this client, as ids or globs; nobody's client where empty.
    pub workspaces: Vec<Pattern>,
}

/// The text of an event's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The message it is for, by its id in the plan.
    pub message: ResourceId,
    /// The kind of channel it is for; for all where absent.
    pub kind: Option<ChannelKind>,
    /// The subject.
    pub subject: String,
    /// The text, one line or paragraph each.
    pub body: Vec<String>,
}

/// Hours in which messages of low urgency wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes by which local time is ahead of UTC.
    pub offset_minutes: i32,
    /// The minute of the local day at which they begin.
    pub from_minute: u32,
    /// The minute of the local day at which they end.
    pub to_minute: u32,
}

/// Who is told when nobody acknowledges that a review is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// After so long without an acknowledgement.
    pub after: Duration,
    /// Where.
    pub channels: Vec<ResourceId>,
    /// Who.
    pub audience: ResourceId,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Id, e.g. `slack-engineering`. Addresses and secrets are settings of the comms service.
    pub id: ResourceId,
    /// What it speaks.
    pub kind: ChannelKind,
    /// Where, as people say it, e.g. `#engineering`.
    pub label: String,
    /// Takes the messages that this one refuses for good.
    pub fallback: Option<ResourceId>,
    /// What becomes of a message of which nobody knows whether it was taken; by urgency if absent.
    pub on_unknown: Option<OnUnknown>,
    /// At most so many messages in a minute.
    pub rate_per_minute: Option<u32>,
}

/// What becomes of a message of which nobody knows whether the channel took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnUnknown {
    /// It is sent again: told twice beats not told.
    Resend,
    /// It waits for a person: told twice is worse than told late.
    Park,
}

/// Protocols of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKind {
    /// A Slack channel.
    Slack,
    /// Mail.
    Mail,
    /// A calendar invitation by mail.
    Meeting,
    /// A banner in the product.
    Banner,
    /// The blog.
    Blog,
    /// The status page.
    StatusPage,
    /// A signed webhook.
    Webhook,
}

/// An audience: roles, or a set of clients the comms service works out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Id, e.g. `engineering`.
    pub id: ResourceId,
    /// Title, e.g. `Engineering + PM`.
    pub title: String,
    /// Mail addresses, for channels that need them.
    pub addresses: Vec<String>,
    /// Contacts in it.
    pub contacts: Vec<ResourceId>,
    /// Roles in it: the contacts that stand for them.
    pub roles: Vec<Role>,
    /// Clients in it, chosen by their workspaces.
    pub clients: Option<Clients>,
}

/// Which clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clients {
    /// Those whose workspaces the phases of the message let in by name.
    Selected,
    /// Those for whose workspaces the flag is on.
    Beta,
    /// Those whose workspaces had uploads in the phase that is left.
    Affected,
    /// All.
    All,
}

/// What an event sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Id, e.g. `phase-start`.
    pub id: ResourceId,
    /// Section, e.g. `7.1`.
    pub section: String,
    /// The event.
    pub event: CommunicationEvent,
    /// Restricts a phase event to these phases; all where empty.
    pub phases: Vec<PhaseId>,
    /// Channels it goes to.
    pub channels: Vec<ResourceId>,
    /// For whom.
    pub audience: ResourceId,
    /// Everybody must have been told after so long; 15 minutes for incidents and a day for others
    /// where absent.
    pub deadline: Option<Duration>,
}

/// Events that people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommunicationEvent {
    /// A phase started.
    PhaseStart,
    /// A gate is to be reviewed.
    GateReview,
    /// Something went wrong, or the kill switch was engaged.
    Incident,
    /// Something went wrong that clients feel.
    ClientIncident,
    /// GA was declared.
    GaDeclaration,
    /// Clients are invited to the canary.
    CanaryInvitation,
    /// The beta is announced.
    BetaAnnouncement,
    /// GA is announced.
    GaAnnouncement,
    /// Clients affected by a rollback are told.
    RollbackNotice,
    /// A review is due.
    ReviewReminder,
    /// A signal to watch moved.
    Advisory,
    /// A task after GA is due.
    PostGaFollowUp,
    /// A phase has taken longer than planned.
    PhaseOverdue,
    /// The rollout is over: its own Slack channel is archived.
    RolloutArchived,
}

named!(ChannelKind {
    "slack" => Slack,
    "mail" => Mail,
    "meeting" => Meeting,
    "banner" => Banner,
    "blog" => Blog,
    "status_page" => StatusPage,
    "webhook" => Webhook,
});

named!(OnUnknown {
    "resend" => Resend,
    "park" => Park,
});

named!(Clients {
    "selected" => Selected,
    "beta" => Beta,
    "affected" => Affected,
    "all" => All,
});

named!(CommunicationEvent {
    "phase_start" => PhaseStart,
    "gate_review" => GateReview,
    "incident" => Incident,
    "client_incident" => ClientIncident,
    "ga_declaration" => GaDeclaration,
    "canary_invitation" => CanaryInvitation,
    "beta_announcement" => BetaAnnouncement,
    "ga_announcement" => GaAnnouncement,
    "rollback_notice" => RollbackNotice,
    "review_reminder" => ReviewReminder,
    "advisory" => Advisory,
    "post_ga_follow_up" => PostGaFollowUp,
    "phase_overdue" => PhaseOverdue,
    "rollout_archived" => RolloutArchived,
});
