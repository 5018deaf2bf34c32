//! Plans and rollouts on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum PlanVerb {
    /// Reports every problem of a plan file at once, with path and line.
    Check {
        /// The plan file.
        file: PathBuf,
    },
    /// Shows what a plan file says: phases, gates, triggers, communications.
    Show {
        /// The plan file; the shipped plan where absent.
        file: Option<PathBuf>,
    },
    /// Prints the JSON Schema of plan files, for editors.
    Schema,
    /// Stores a plan file as a new version, and shows who has yet to approve it.
    Store {
        /// The plan file; the shipped plan where absent.
        file: Option<PathBuf>,
    },
    /// Approves a plan version in one role: but for a demo, an unapproved plan does not start.
    Approve {
        /// The plan version, e.g. plans/ingestion_v2/versions/1.0; that of the shipped plan where
        /// absent.
        #[arg(id = "plan_version", value_name = "VERSION")]
        version: Option<String>,
        /// The role in which you approve.
        #[arg(long)]
        role: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RolloutId {
    /// The rollout.
    #[arg(default_value = "ingestion-v2")]
    pub(crate) rollout: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutVerb {
    /// Stores the plan, creates the rollout and enters its first phase, as far as the entry
    /// criteria allow. Can be repeated.
    Start {
        #[command(flatten)]
        id: RolloutId,
        /// The plan file; the shipped plan where absent.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Marks a rollout on a demo clock.
        #[arg(long)]
        demo: bool,
    },
    /// Shows where a rollout stands and what is missing.
    Status {
        #[command(flatten)]
        id: RolloutId,
        /// Shows it again on every change.
        #[arg(long)]
        watch: bool,
    },
    /// States that a criterion is met, with a link to evidence.
    Attest {
        /// The criterion, as `gate report` names it.
        criterion: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
        /// The role in which you state it.
        #[arg(long)]
        role: String,
        /// A link to the evidence.
        #[arg(long, value_name = "URL")]
        evidence: String,
        /// What you state.
        #[arg(long, default_value = "")]
        statement: String,
    },
    /// Approves the gate of the current phase as shown in one report.
    Approve {
        #[command(flatten)]
        id: RolloutId,
        /// The role in which you approve.
        #[arg(long, default_value = "")]
        role: String,
        /// The digest of the report you saw, as `gate report --keep` shows it.
        #[arg(long, default_value = "")]
        digest: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// Enters this phase as well, if the approval was the last thing missing.
        #[arg(long, value_name = "PHASE")]
        advance: Option<String>,
    },
    /// Enters the next phase.
    Advance {
        /// The phase to enter, e.g. P1.
        phase: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
        /// Says whether it could, and changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Takes the next step of the ramp within the phase by hand: one person asks for it, the same
    /// again by another takes it.
    Ramp {
        /// The share to reach, in whole percent.
        percent: i32,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
    },
    /// Stops clock and ramp; new uploads of the cohort wait.
    Pause {
        #[command(flatten)]
        id: RolloutId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Engages the kill switch of the pipeline as well: everything waits.
        #[arg(long)]
        global: bool,
    },
    /// Leaves a pause. The kill switch, where it is engaged, is released by `kill release` alone.
    Resume {
        #[command(flatten)]
        id: RolloutId,
        /// Why it is safe.
        #[arg(long)]
        reason: String,
        /// A link that shows that the resume criterion is met; needed after a trigger or a rollback.
        #[arg(long, value_name = "URL", default_value = "")]
        evidence: String,
    },
    /// Goes back to the phase before, at once, by the plan's rollback checklist.
    RollBack {
        #[command(flatten)]
        id: RolloutId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Goes back to the first phase.
        #[arg(long)]
        to_first: bool,
    },
    /// Ticks off a step of the rollback checklist that people do.
    TickOff {
        /// The step, e.g. investigate-root-cause.
        step: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
        /// What was done.
        #[arg(long)]
        detail: String,
        /// A link to the evidence.
        #[arg(long, value_name = "URL")]
        evidence: String,
    },
    /// Shows what happened to a rollout, by whom and why.
    Timeline {
        #[command(flatten)]
        id: RolloutId,
        /// Adds this line to it.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Writes the dossier: why each step was allowed, by whom, on which evidence, with curves and with
    /// everything it rests on; or verifies one without any service.
    Dossier {
        #[command(flatten)]
        id: RolloutId,
        /// Where it is written.
        #[arg(long, value_name = "DIR", default_value = "dossier")]
        dir: PathBuf,
        /// Verifies the dossier in this directory instead.
        #[arg(long, value_name = "DIR", conflicts_with = "dir")]
        verify: Option<PathBuf>,
    },
    /// Goes on by another version of the plan.
    ChangePlan {
        /// The plan version, e.g. plans/ingestion_v2/versions/1.1.
        #[arg(id = "plan_version", value_name = "VERSION")]
        version: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Says whether it could, and changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Sends the announcement of general availability out, once nothing else is missing.
    Announce {
        #[command(flatten)]
        id: RolloutId,
        /// Says whether it could, and changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Declares general availability.
    Declare {
        #[command(flatten)]
        id: RolloutId,
        /// Says whether it could, and changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Ticks off a task of the time after general availability.
    Task {
        /// The task, e.g. lessons-learned.
        task: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
        /// A link to the evidence.
        #[arg(long, value_name = "URL")]
        evidence: String,
    },
    /// Ends a rollout: its flag can be moved by another.
    Archive {
        #[command(flatten)]
        id: RolloutId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// What is known of an incident.
#[derive(Debug, Args)]
pub(crate) struct AdviseArguments {
    /// A row of the decision matrix whose condition holds, e.g. known-issue. Can be given more than
    /// once; `plan show` lists them.
    #[arg(long = "condition", value_name = "ROW")]
    pub(crate) conditions: Vec<String>,
    /// How long it is expected to take, e.g. 3h; absent where nobody knows.
    #[arg(long, value_name = "DURATION")]
    pub(crate) expected: Option<String>,
    /// The rollout whose plan is asked.
    #[arg(long, default_value = "ingestion-v2")]
    pub(crate) rollout: String,
}
