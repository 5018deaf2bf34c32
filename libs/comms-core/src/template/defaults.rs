//! The texts that come with Softlaunch: good enough to send as they are.

use plan::{ChannelKind, CommunicationEvent as Event};

/// A subject and a text.
type Text = (&'static str, &'static str);

/// Subject and text of an event's messages in a kind of channel.
pub(super) const fn text_of(event: Event, kind: ChannelKind) -> Text {
    match (event, kind) {
        (Event::PhaseStart, _) => PHASE_START,
        (Event::GateReview, _) => GATE_REVIEW,
        (Event::Incident, _) => INCIDENT,
        (Event::ClientIncident, _) => CLIENT_INCIDENT,
        (Event::RollbackNotice, ChannelKind::StatusPage) => ROLLBACK_NOTICE_ON_STATUS_PAGE,
        (Event::RollbackNotice, _) => ROLLBACK_NOTICE,
        (Event::GaDeclaration, _) => GA_DECLARATION,
        (Event::CanaryInvitation, _) => CANARY_INVITATION,
        (Event::BetaAnnouncement, _) => BETA_ANNOUNCEMENT,
        (Event::GaAnnouncement, ChannelKind::Blog) => GA_ANNOUNCEMENT_ON_BLOG,
        (Event::GaAnnouncement, _) => GA_ANNOUNCEMENT,
        (Event::ReviewReminder, _) => REVIEW_REMINDER,
        (Event::Advisory, _) => ADVISORY,
        (Event::PostGaFollowUp, _) => POST_GA_FOLLOW_UP,
        (Event::PhaseOverdue, _) => PHASE_OVERDUE,
        (Event::RolloutArchived, _) => ROLLOUT_ARCHIVED,
    }
}

const PHASE_START: Text = (
    "{{ pipeline }}: {{ phase_id }} {{ phase_name }} {{ verb }}",
    "{{ pipeline }} entered {{ phase_id }} ({{ phase_name }}) at {{ time }}.\n\
     Objective: {{ objective }}\n\
     Audience: {{ audience }}; on by percentage: {{ exposure }}.\n\
     Review: {{ review }}.\n\
     By: {{ actor }}.",
);

const GATE_REVIEW: Text = (
    "{{ pipeline }}: review of {{ gate }} ({{ phase_id }} {{ phase_name }}) {{ change }}",
    "The review of {{ gate }} of {{ pipeline }} is {{ change }}: {{ start_time }} to \
     {{ end_time }}.\n\n\
     {{ phase_id }} ({{ phase_name }}) lasts at least {{ minimum_duration }}; this is the \
     first moment at which its gate can be passed. A pause moves it.\n\n\
     To decide: whether every criterion of the gate is met. See the report with \
     `softlaunch gate report`.",
);

const INCIDENT: Text = (
    "{{ pipeline }}: {{ title }}",
    "{{ title }} at {{ time }}, by {{ actor }}.\n\
     Reason: {{ why }}\n\
     Effect: {{ effect }}",
);

const CLIENT_INCIDENT: Text = (
    "Delayed imports",
    "{% if status == 'resolved' %}\
     Imports run as usual again. Uploads that waited are processed; nothing needs to be sent again.\
     {% else %}\
     Some imports are delayed; we are on it ({{ status }}).\n\n\
     Uploads that you send now are kept and will be processed; nothing needs to be sent again. We \
     will update this page as we learn more.\
     {% endif %}",
);

const ROLLBACK_NOTICE_ON_STATUS_PAGE: Text = (
    "Delayed imports",
    "We have taken back a change to the import pipeline. New uploads wait until it is done \
     and are then processed; nothing needs to be sent again.",
);

const ROLLBACK_NOTICE: Text = (
    "Your imports are delayed",
    "Hello,\n\n\
     we found a problem with a change to the pipeline that imports your data, and have \
     taken the change back at {{ time }}.\n\n\
     What this means for you: uploads that you send now wait and are processed once this is \
     done. Nothing needs to be sent again. If you see data that looks wrong or is missing, \
     please answer this mail.\n\n\
     We will write again when we know more.",
);

const GA_DECLARATION: Text = (
    "{{ pipeline }}: general availability is declared",
    "{{ plan_title }}: every criterion of general availability was met, and it was declared \
     at {{ time }} by {{ actor }}.\n\n\
     The kill switch stays available. What is to be done in the next four weeks is listed \
     by `softlaunch rollout status`.",
);

const CANARY_INVITATION: Text = (
    "An invitation: try our new import pipeline first",
    "Hello,\n\n\
     you are one of the first whom we invite to use our new import pipeline. It begins soon \
     with {{ phase_name }}, and lasts at least {{ minimum_duration }}.\n\n\
     What changes: your imports run on the new pipeline, with limits on the size and number \
     of uploads while we watch it closely. If anything looks wrong, answer this mail: we can \
     take you back at once.\n\n\
     Thank you for helping us.",
);

const BETA_ANNOUNCEMENT: Text = (
    "A new import pipeline",
    "Your imports now run on our new pipeline. Tell support if anything looks wrong.",
);

const GA_ANNOUNCEMENT_ON_BLOG: Text = (
    "The new import pipeline is here for everybody",
    "After weeks with a growing number of you, our new import pipeline is now available to \
     all.\n\n\
     There is nothing to do: your imports use it already. What is new, and how to get the \
     most of it, is in the user guide.\n\n\
     Thank you to all who tried it first and told us what to make better.",
);

const GA_ANNOUNCEMENT: Text = (
    "The new import pipeline is here",
    "Hello,\n\n\
     our new import pipeline is now available to all. There is nothing to do: your imports \
     use it already. The user guide says what is new.\n\n\
     If you have questions, answer this mail.",
);

const REVIEW_REMINDER: Text = (
    "{{ pipeline }}: review {{ number }} of {{ phase_id }} is {{ change }}",
    "A review of {{ pipeline }} in {{ phase_id }} ({{ phase_name }}) is {{ change }}.\n\
     Cadence: {{ review }}. Attendees: {{ attendees }}.\n\
     Acknowledge with `softlaunch comms acknowledge {{ rollout }}`.",
);

const ADVISORY: Text = (
    "{{ pipeline }}: {{ title }}",
    "{{ title }} at {{ time }}: {{ why }}\n\
     Concern: {{ concern }}\n\
     Action: {{ action }}",
);

const POST_GA_FOLLOW_UP: Text = (
    "{{ pipeline }}: {{ task }} ({{ change }})",
    "A task of the time after general availability (D7 section {{ section }}) is \
     {{ change }}: {{ task }}.",
);

const PHASE_OVERDUE: Text = (
    "{{ pipeline }}: {{ phase_id }} {{ phase_name }} takes longer than planned",
    "{{ pipeline }} has been in {{ phase_id }} ({{ phase_name }}) for longer than planned. \
     Nothing changes by itself: see what its gate is missing with \
     `softlaunch gate report`.",
);

const ROLLOUT_ARCHIVED: Text = (
    "{{ pipeline }}: the rollout is over",
    "The rollout {{ rollout }} was archived at {{ time }} by {{ actor }}: {{ why }}\n\
     This channel is closed with it.",
);
