//! Reads what ends a rollout, and the papers that go with it.

use vocab::{ResourceId, Role, parse_duration};

use super::criterion::criterion;
use super::fields::{Decoded, Fields};
use crate::node::Node;
use crate::shape::{DOCUMENT, DOCUMENT_CHANGE, ENHANCEMENT, GA, POST_GA_TASK, REFERENCE};
use crate::{DocumentChange, DocumentControl, Enhancement, GaRules, PostGaTask, Reference};

pub(super) fn ga(node: &Node) -> Decoded<GaRules> {
    let fields = Fields::of(node, &GA);
    Ok(GaRules {
        consecutive_days: fields.integer("consecutive_days")?,
        quantitative: fields.list("quantitative", criterion)?,
        qualitative: fields.list("qualitative", criterion)?,
        checklist: fields.list("checklist", criterion)?,
        approvers: fields.words("approvers", Role::new)?,
    })
}

pub(super) fn post_ga_task(node: &Node) -> Decoded<PostGaTask> {
    let fields = Fields::of(node, &POST_GA_TASK);
    Ok(PostGaTask {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        section: fields.text("section")?,
        due_after: fields.word("due_after", parse_duration)?,
    })
}

pub(super) fn enhancement(node: &Node) -> Decoded<Enhancement> {
    let fields = Fields::of(node, &ENHANCEMENT);
    Ok(Enhancement {
        title: fields.text("title")?,
        prerequisite: fields.text("prerequisite")?,
        target: fields.text("target")?,
    })
}

pub(super) fn reference(node: &Node) -> Decoded<Reference> {
    let fields = Fields::of(node, &REFERENCE);
    Ok(Reference { document: fields.text("document")?, purpose: fields.text("purpose")? })
}

pub(super) fn document(node: &Node) -> Decoded<DocumentControl> {
    let fields = Fields::of(node, &DOCUMENT);
    Ok(DocumentControl {
        status: fields.text("status")?,
        changes: fields.list("changes", document_change)?,
        approvers: fields.words("approvers", Role::new)?,
    })
}

fn document_change(node: &Node) -> Decoded<DocumentChange> {
    let fields = Fields::of(node, &DOCUMENT_CHANGE);
    Ok(DocumentChange {
        version: fields.text("version")?,
        date: fields.text("date")?,
        change: fields.text("change")?,
    })
}
