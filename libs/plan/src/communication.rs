//! Who is told of what, and where.

use vocab::{PhaseId, ResourceId};

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
});
