//! Arguments of `softlaunch flag`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct FlagKey {
    /// The flag.
    #[arg(default_value = "ingestion_v2_enabled")]
    pub(crate) flag: String,
}

/// How a change is given.
#[derive(Debug, Args)]
pub(crate) struct Given {
    /// Why.
    #[arg(long)]
    pub(crate) reason: String,
    /// Checks everything and changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a flag becomes. One of the three at most.
#[derive(Debug, Args)]
#[group(id = "form", multiple = false)]
pub(crate) struct FlagForm {
    /// D7's form, e.g. '{"enabled": true, "percentage": 10, "denylist": ["enterprise-*"]}'.
    #[arg(long, value_name = "JSON")]
    pub(crate) json: Option<String>,
    /// A file with a whole definition, as proto3 JSON of softlaunch.flag.v1.FlagDefinition:
    /// variants, rules, split. `flag get --output json` shows one.
    #[arg(long, value_name = "FILE")]
    pub(crate) definition: Option<PathBuf>,
    /// A file with a flagd definition of this one flag.
    #[arg(long, value_name = "FILE")]
    pub(crate) flagd: Option<PathBuf>,
}

/// What is said about a flag.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// What it is for.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Who looks after it.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// When it should be gone, e.g. 2027-03-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// A fact for clients, e.g. team=ingestion. Can be given more than once.
    #[arg(long = "metadata", value_name = "NAME=VALUE")]
    pub(crate) metadata: Vec<String>,
}

/// Which workspaces are looked at.
#[derive(Debug, Args)]
pub(crate) struct Workspaces {
    /// A file of workspaces: CSV with a column workspace_id and one for each attribute, or, where
    /// its name ends with .jsonl, lines such as {"workspace_id": "ws-1", "platform": "web"}. Without
    /// it the service looks at those that have asked for admission.
    #[arg(long, value_name = "FILE")]
    pub(crate) workspaces: Option<PathBuf>,
}

/// How a document of flags is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Documents {
    /// D7's form (§3.3), by key.
    D7,
    /// A flagd document.
    Flagd,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlagVerb {
    /// Shows a flag.
    Get {
        #[command(flatten)]
        key: FlagKey,
    },
    /// Lists all flags.
    List {
        /// Lists deleted ones as well.
        #[arg(long)]
        deleted: bool,
    },
    /// Creates a flag.
    Create {
        #[command(flatten)]
        key: FlagKey,
        /// The pipeline whose kill switch it obeys.
        #[arg(long)]
        pipeline: String,
        #[command(flatten)]
        form: FlagForm,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        given: Given,
    },
    /// Changes a flag: what is given, and nothing else.
    Update {
        #[command(flatten)]
        key: FlagKey,
        #[command(flatten)]
        form: FlagForm,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        given: Given,
    },
    /// Changes who is on; creates the flag where it does not exist and a pipeline is named.
    Set {
        #[command(flatten)]
        key: FlagKey,
        /// D7's form, e.g. '{"enabled": true, "percentage": 10, "denylist": ["enterprise-*"]}'.
        #[arg(long, value_name = "JSON")]
        json: String,
        /// The pipeline of a new flag.
        #[arg(long)]
        pipeline: Option<String>,
        #[command(flatten)]
        given: Given,
    },
    /// Deletes a flag: it is evaluated no more, and its key stays taken.
    Delete {
        /// The flag.
        flag: String,
        #[command(flatten)]
        given: Given,
    },
    /// Brings a deleted flag back as it was.
    Undelete {
        /// The flag.
        flag: String,
        #[command(flatten)]
        given: Given,
    },
    /// Shows what a flag was: who changed it, when and why, newest first.
    History {
        #[command(flatten)]
        key: FlagKey,
        /// How many revisions at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Says what differs between two revisions; between the last two where none is named.
    Diff {
        #[command(flatten)]
        key: FlagKey,
        /// The older revision; the one before --to where absent.
        #[arg(long)]
        from: Option<i64>,
        /// The newer revision; the flag as it is where absent.
        #[arg(long)]
        to: Option<i64>,
    },
    /// Makes a flag what it was at a revision. The rules for changes hold.
    Restore {
        /// The flag.
        flag: String,
        /// The revision, as `flag history` shows it.
        revision: i64,
        #[command(flatten)]
        given: Given,
    },
    /// Creates or changes flags from a document, all of them or none.
    Import {
        /// The document.
        file: PathBuf,
        /// How it is written.
        #[arg(long, value_enum)]
        form: Documents,
        /// The pipeline of flags that do not exist yet.
        #[arg(long)]
        pipeline: String,
        #[command(flatten)]
        given: Given,
    },
    /// Writes flags as a document to standard output.
    Export {
        /// The flags; all of them where none is named.
        flags: Vec<String>,
        /// How to write it.
        #[arg(long, value_enum, default_value_t = Documents::Flagd)]
        form: Documents,
        /// Leaves kill switches and pauses out.
        #[arg(long)]
        definitions_only: bool,
    },
    /// Says who would get something else under a definition, before anybody applies it.
    BlastRadius {
        #[command(flatten)]
        key: FlagKey,
        #[command(flatten)]
        form: FlagForm,
        #[command(flatten)]
        workspaces: Workspaces,
        /// An attribute to group by besides platform and tier. Can be given more than once.
        #[arg(long = "by", value_name = "ATTRIBUTE")]
        by: Vec<String>,
        /// Keeps the report, so that an approval can name its digest.
        #[arg(long)]
        keep: bool,
    },
    /// Shows a blast radius that was kept.
    ShowBlastRadius {
        /// The digest.
        digest: String,
    },
    /// Says how evenly the share falls on the groups of an attribute.
    Stratify {
        #[command(flatten)]
        key: FlagKey,
        /// The attribute.
        #[arg(long = "by", value_name = "ATTRIBUTE", default_value = "platform")]
        by: String,
        #[command(flatten)]
        workspaces: Workspaces,
    },
    /// Says who is on, and why.
    Evaluate {
        /// The workspaces.
        #[arg(required = true)]
        workspaces: Vec<String>,
        /// The flag.
        #[arg(long, default_value = "ingestion_v2_enabled")]
        flag: String,
        /// An attribute of the workspaces, e.g. tier=enterprise. Can be given more than once.
        #[arg(long = "attribute", value_name = "NAME=VALUE")]
        attributes: Vec<String>,
    },
}
