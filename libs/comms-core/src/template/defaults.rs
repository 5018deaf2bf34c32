//! The texts that come with Softlaunch: good enough to send as they are.

use plan::{ChannelKind, CommunicationEvent as Event};

/// Subject and text of an event's messages in a kind of channel.
pub(super) const fn text_of(event: Event, kind: ChannelKind) -> (&'static str, &'static str) {
    match (event, kind) {
        (Event::PhaseStart, _) => (
            "{{ pipeline }}: {{ phase_id }} {{ phase_name }} {{ verb }}",
            "{{ pipeline }} entered {{ phase_id }} ({{ phase_name }}) at {{ time }}.\n\
             Objective: {{ objective }}\n\
             Audience: {{ audience }}; on by percentage: {{ exposure }}.\n\
             Review: {{ review }}.\n\
             By: {{ actor }}.",
        ),
        (Event::GateReview, _) => (
            "{{ pipeline }}: review of {{ gate }} ({{ phase_id }} {{ phase_name }}) {{ change }}",
            "The review of {{ gate }} of {{ pipeline }} is {{ change }}: {{ start_time }} to \
             {{ end_time }}.\n\n\
             {{ phase_id }} ({{ phase_name }}) lasts at least {{ minimum_duration }}; this is the \
             first moment at which its gate can be passed. A pause moves it.\n\n\
             To decide: whether every criterion of the gate is met. See the report with \
             `softlaunch gate report`.",
        ),
        (Event::Incident, _) => (
            "{{ pipeline }}: {{ title }}",
            "{{ title }} at {{ time }}, by {{ actor }}.\n\
             Reason: {{ why }}\n\
             Effect: {{ effect }}",
        ),
        (Event::ClientIncident, _) => (
            "Delayed imports",
            "Some imports are delayed. Status: {{ status }}.\n\n\
             Uploads that you send now are kept and will be processed; nothing needs to be sent \
             again. We will update this page as we learn more.",
        ),
        (Event::RollbackNotice, ChannelKind::StatusPage) => (
            "Delayed imports",
            "We have taken back a change to the import pipeline. New uploads wait until it is done \
             and are then processed; nothing needs to be sent again.",
        ),
        (Event::RollbackNotice, _) => (
            "Your imports are delayed",
            "Hello,\n\n\
             we found a problem with a change to the pipeline that imports your data, and have \
             taken the change back at {{ time }}.\n\n\
             What this means for you: uploads that you send now wait and are processed once this is \
             done. Nothing needs to be sent again. If you see data that looks wrong or is missing, \
             please answer this mail.\n\n\
             We will write again when we know more.",
        ),
        (Event::GaDeclaration, _) => (
            "{{ pipeline }}: general availability is declared",
            "{{ plan_title }}: every criterion of general availability was met, and it was declared \
             at {{ time }} by {{ actor }}.\n\n\
             The kill switch stays available. What is to be done in the next four weeks is listed \
             by `softlaunch rollout show`.",
        ),
        (Event::CanaryInvitation, _) => (
            "An invitation: try our new import pipeline first",
            "Hello,\n\n\
             you are one of the first whom we invite to use our new import pipeline. It begins soon \
             with {{ phase_name }}, and lasts at least {{ minimum_duration }}.\n\n\
             What changes: your imports run on the new pipeline, with limits on the size and number \
             of uploads while we watch it closely. If anything looks wrong, answer this mail: we can \
             take you back at once.\n\n\
             Thank you for helping us.",
        ),
        (Event::BetaAnnouncement, _) => (
            "A new import pipeline",
            "Your imports now run on our new pipeline. Tell support if anything looks wrong.",
        ),
        (Event::GaAnnouncement, ChannelKind::Blog) => (
            "The new import pipeline is here for everybody",
            "After weeks with a growing number of you, our new import pipeline is now available to \
             all.\n\n\
             There is nothing to do: your imports use it already. What is new, and how to get the \
             most of it, is in the user guide.\n\n\
             Thank you to all who tried it first and told us what to make better.",
        ),
        (Event::GaAnnouncement, _) => (
            "The new import pipeline is here",
            "Hello,\n\n\
             our new import pipeline is now available to all. There is nothing to do: your imports \
             use it already. The user guide says what is new.\n\n\
             If you have questions, answer this mail.",
        ),
        (Event::ReviewReminder, _) => (
            "{{ pipeline }}: review {{ number }} of {{ phase_id }} is {{ change }}",
            "A review of {{ pipeline }} in {{ phase_id }} ({{ phase_name }}) is {{ change }}.\n\
             Cadence: {{ review }}. Attendees: {{ attendees }}.\n\
             Acknowledge with `softlaunch comms acknowledge {{ rollout }}`.",
        ),
        (Event::Advisory, _) => (
            "{{ pipeline }}: {{ title }}",
            "{{ title }} at {{ time }}: {{ why }}\n\
             Concern: {{ concern }}\n\
             Action: {{ action }}",
        ),
        (Event::PostGaFollowUp, _) => (
            "{{ pipeline }}: {{ task }} ({{ change }})",
            "A task of the time after general availability (D7 section {{ section }}) is \
             {{ change }}: {{ task }}.",
        ),
        (Event::PhaseOverdue, _) => (
            "{{ pipeline }}: {{ phase_id }} {{ phase_name }} takes longer than planned",
            "{{ pipeline }} has been in {{ phase_id }} ({{ phase_name }}) for longer than planned. \
             Nothing changes by itself: see what its gate is missing with \
             `softlaunch gate report`.",
        ),
        (Event::RolloutArchived, _) => (
            "{{ pipeline }}: the rollout is over",
            "The rollout {{ rollout }} was archived at {{ time }} by {{ actor }}: {{ why }}\n\
             This channel is closed with it.",
        ),
    }
}
