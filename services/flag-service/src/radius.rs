//! Reports of what a change would do: blast radius and stratification.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::flag_event::Kind;
use flag_core::limits::ATTRIBUTES_MAX;
use flag_core::{About, Counts, Definition, Flag, Limits, Radius, Strata, raises};
use prost::Message as _;
use service_kit::fault::{Fault, checked};
use service_kit::journaled::refused;
use service_kit::wire::{signed, wire_time};
use store::{Command, Hash};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status};
use vocab::{FlagKey, PipelineId, WorkspaceId};

use crate::app::App;
use crate::census::owned;
use crate::convert;
use crate::error::{DOMAIN, Refusal};
use crate::state::{State, draft};

/// Workspaces of one report.
const WORKSPACES_MAX: u64 = 1_000_000;
/// Workspaces of one message.
const MESSAGE_WORKSPACES_MAX: usize = 10_000;
/// Attributes to group by.
const GROUP_BY_MAX: usize = 10;

/// Hands workspaces over, with where they stand in the request.
struct Given {
    count: u64,
}

impl Given {
    /// Checks the workspaces of one message and looks at each.
    fn take(
        &mut self,
        workspaces: &[pb::Workspace],
        mut look: impl FnMut(&str, &flag_core::Attributes),
    ) -> Result<(), Fault> {
        if workspaces.len() > MESSAGE_WORKSPACES_MAX {
            let why = format!(
                "{} are too many for a message: expected at most {MESSAGE_WORKSPACES_MAX}",
                workspaces.len()
            );
            return Err(Fault::field(DOMAIN, "workspaces", why));
        }
        for (at, workspace) in workspaces.iter().enumerate() {
            let path = format!("workspaces[{at}]");
            let id = WorkspaceId::new(&workspace.workspace_id);
            let id = checked(DOMAIN, &format!("{path}.workspace_id"), id)?;
            flag_wire::attributes(&format!("{path}.attributes"), workspace.attributes.as_ref())
                .map_err(convert::fault)?;
            self.count += 1;
            if self.count > WORKSPACES_MAX {
                let why = format!("there are more than {WORKSPACES_MAX} workspaces");
                return Err(Fault::new(
                    Code::ResourceExhausted,
                    DOMAIN,
                    "TOO_MANY_WORKSPACES",
                    why,
                )
                .with("limit", WORKSPACES_MAX));
            }
            look(id.as_str(), &owned(workspace.attributes.as_ref()));
        }
        Ok(())
    }
}

impl App {
    /// Compares what is proposed with what is.
    pub(crate) async fn blast_radius(
        &self,
        command: Command,
        mut requests: impl Stream<Item = Result<pb::ComputeBlastRadiusRequest, Status>> + Send + Unpin,
    ) -> Result<pb::BlastRadius, Status> {
        let first = requests.next().await.transpose()?;
        let first = first.ok_or_else(|| Fault::field(DOMAIN, "name", "is required"))?;
        let key = convert::flag_key("name", &first.name)?;
        let wire = first.definition.as_ref();
        let wire = wire.ok_or_else(|| Fault::field(DOMAIN, "definition", "is required"))?;
        let definition = convert::definition("definition", wire)?;
        let by = group_by(&first.group_by)?;
        let stored = self.replica.snapshot().state.live(key.as_str()).cloned();
        let before = stored.as_ref().map(|stored| running(&stored.flag));
        let after = proposed(before.as_ref(), &key, definition.clone())?;
        let mut radius = Radius::new(before.as_ref(), &after, by);
        let (now, mut given) = (self.clock.now(), Given { count: 0 });
        given.take(&first.workspaces, |id, attributes| radius.look(id, attributes, now))?;
        while let Some(next) = requests.next().await.transpose()? {
            given.take(&next.workspaces, |id, attributes| radius.look(id, attributes, now))?;
        }
        let census = if given.count == 0 { pb::Census::Seen } else { pb::Census::Given };
        if given.count == 0 {
            for (id, attributes) in self.census.all() {
                radius.look(id.as_str(), &attributes, now);
            }
        }
        let was = before.as_ref().map(|before| before.definition.clone()).unwrap_or_default();
        let mut report = pb::BlastRadius {
            name: format!("flags/{key}"),
            revision: stored.map_or(0, |stored| signed(stored.revision)),
            definition: Some(flag_wire::wire_definition(&definition)),
            census: census.into(),
            raises_exposure: raises(&was, &definition).is_some(),
            ..pb::BlastRadius::default()
        };
        fill(&mut report, &radius);
        report.digest = Hash::of(&report.encode_to_vec()).to_string();
        report.create_time = Some(wire_time(now));
        drop(radius);
        if first.keep {
            self.keep(command, &report).await?;
        }
        Ok(report)
    }

    async fn keep(&self, command: Command, report: &pb::BlastRadius) -> Result<(), Fault> {
        let kept = pb::BlastRadiusKept { blast_radius: Some(report.clone()) };
        self.replica
            .execute(&command, |state: &State, _| {
                let known = state.radii.contains_key(&report.digest);
                let event = || draft(Kind::BlastRadiusKept(kept.clone()));
                Ok::<_, Refusal>(if known { Vec::new() } else { vec![event()] })
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(())
    }

    /// A report that was kept.
    pub(crate) fn kept_radius(&self, digest: &str) -> Result<pb::BlastRadius, Fault> {
        if Hash::parse(digest).is_none() {
            return Err(Fault::field(DOMAIN, "digest", "expected 64 hexadecimal digits"));
        }
        let snapshot = self.replica.snapshot();
        let found = snapshot.state.radii.get(digest).map(|kept| kept.1.clone());
        found.ok_or_else(|| {
            let why = format!("there is no report {digest}: compute it anew, with keep");
            let kind = "softlaunch.flag.v1.BlastRadius";
            Fault::not_found(DOMAIN, "BLAST_RADIUS_NOT_FOUND", kind, digest, why)
        })
    }

    /// Counts who is selected, by the groups of an attribute.
    pub(crate) async fn stratification(
        &self,
        mut requests: impl Stream<Item = Result<pb::ComputeStratificationRequest, Status>>
        + Send
        + Unpin,
    ) -> Result<pb::Stratification, Status> {
        let first = requests.next().await.transpose()?;
        let first = first.ok_or_else(|| Fault::field(DOMAIN, "name", "is required"))?;
        let key = convert::flag_key("name", &first.name)?;
        let attribute = if first.attribute.is_empty() { "platform" } else { &first.attribute };
        flag_core::check_attribute(attribute)
            .map_err(|problem| convert::fault(problem.within("attribute")))?;
        let stored = self.replica.snapshot().state.live(key.as_str()).cloned();
        let before = stored.as_ref().map(|stored| running(&stored.flag));
        let (flag, revision) = match (&first.definition, before, stored) {
            (Some(wire), before, _) => {
                let definition = convert::definition("definition", wire)?;
                (proposed(before.as_ref(), &key, definition)?, 0)
            }
            (None, Some(flag), Some(stored)) => (flag, stored.revision),
            (None, _, _) => return Err(crate::error::not_found(key.as_str()).into()),
        };
        let mut strata = Strata::new(&flag, attribute);
        let (now, mut given) = (self.clock.now(), Given { count: 0 });
        given.take(&first.workspaces, |id, attributes| strata.look(id, attributes, now))?;
        while let Some(next) = requests.next().await.transpose()? {
            given.take(&next.workspaces, |id, attributes| strata.look(id, attributes, now))?;
        }
        if given.count == 0 {
            for (id, attributes) in self.census.all() {
                strata.look(id.as_str(), &attributes, now);
            }
        }
        Ok(stratified(&key, revision, attribute, &strata))
    }
}

/// A flag as it is when nothing holds it back.
fn running(flag: &Arc<Flag>) -> Flag {
    Flag { paused: false, ..flag.as_ref().clone() }
}

/// The flag as it would be. Without a pipeline of its own: it is not evaluated for anybody.
fn proposed(before: Option<&Flag>, key: &FlagKey, definition: Definition) -> Result<Flag, Fault> {
    if let Some(before) = before {
        return Ok(Flag { definition, ..before.clone() });
    }
    Ok(Flag {
        key: key.clone(),
        pipeline: checked(DOMAIN, "name", PipelineId::new("none"))?,
        definition,
        limits: Limits::default(),
        rollout: String::new(),
        phase: None,
        generation: 0,
        paused: false,
        about: About::default(),
    })
}

fn group_by(asked: &[String]) -> Result<Vec<String>, Fault> {
    let mut by = vec!["platform".to_owned(), "tier".to_owned()];
    for (at, name) in asked.iter().enumerate() {
        flag_core::check_attribute(name)
            .map_err(|problem| convert::fault(problem.within(&format!("group_by[{at}]"))))?;
        if !by.contains(name) {
            by.push(name.clone());
        }
    }
    if by.len() > GROUP_BY_MAX.min(ATTRIBUTES_MAX) {
        let why = format!("{} are too many: expected at most 8", asked.len());
        return Err(Fault::field(DOMAIN, "group_by", why));
    }
    Ok(by)
}

fn fill(report: &mut pb::BlastRadius, radius: &Radius<'_>) {
    let Counts { workspaces, changed, turned_on, turned_off } = radius.total();
    report.workspaces_count = signed(workspaces);
    report.changed_count = signed(changed);
    report.turned_on_count = signed(turned_on);
    report.turned_off_count = signed(turned_off);
    report.groups = radius
        .groups()
        .map(|group| pb::Group {
            attribute: group.attribute,
            value: group.value,
            workspaces_count: signed(group.counts.workspaces),
            changed_count: signed(group.counts.changed),
            turned_on_count: signed(group.counts.turned_on),
            turned_off_count: signed(group.counts.turned_off),
        })
        .collect();
    let (affected, truncated) = radius.affected();
    let reason = |reason: Option<flag_core::Reason>| {
        reason.map_or(pb::Reason::Unspecified, convert::wire_reason).into()
    };
    report.affected = affected
        .iter()
        .map(|(id, one)| pb::Affected {
            workspace_id: id.clone(),
            variant_before: one.before.to_string(),
            variant_after: one.after.to_string(),
            reason_before: reason(one.reason_before),
            reason_after: reason(one.reason_after),
        })
        .collect();
    report.affected_truncated = truncated;
}

fn stratified(
    key: &FlagKey,
    revision: u64,
    attribute: &str,
    strata: &Strata<'_>,
) -> pb::Stratification {
    let found = strata.strata();
    pb::Stratification {
        name: format!("flags/{key}"),
        revision: signed(revision),
        attribute: attribute.to_owned(),
        target_basis_points: strata.target().get().into(),
        balanced: found.iter().all(flag_core::Stratum::is_within),
        strata: found
            .iter()
            .map(|one| pb::Stratum {
                value: one.value.clone(),
                workspaces_count: signed(one.workspaces),
                selected_count: signed(one.selected),
                selected_basis_points: one.share.get().into(),
                low_basis_points: one.low.get().into(),
                high_basis_points: one.high.get().into(),
                within: one.is_within(),
            })
            .collect(),
        decided_otherwise_count: signed(strata.decided_otherwise()),
    }
}
