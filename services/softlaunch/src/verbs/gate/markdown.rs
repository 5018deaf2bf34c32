//! A gate report as Markdown, for a page or a ticket.

use contracts::gate as pb;

use crate::output::{percent, short, time, why};

/// One line of a cell: what would end it is escaped.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', "<br>")
}

/// The report with all its criteria and its digest.
pub(super) fn report(report: &pb::GateReport) -> String {
    let mut lines = vec![
        format!("## {}: {}", cell(&report.title), short(report.verdict().as_str_name())),
        String::new(),
        format!(
            "`{}`, phase {}, judged at {}.",
            report.gate,
            report.phase_id,
            time(report.create_time.as_ref())
        ),
        String::new(),
        "| Verdict | Criterion | Must be | Found | 95 % | Samples | Why | § |".to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for criterion in &report.criteria {
        let interval = match (criterion.interval_low_ppm, criterion.interval_high_ppm) {
            (Some(low), Some(high)) => format!("{:.2}% to {:.2}%", percent(low), percent(high)),
            _ => String::new(),
        };
        let cells = [
            short(criterion.verdict().as_str_name()),
            cell(&format!("{} (`{}`)", criterion.title, criterion.criterion_id)),
            cell(&criterion.requirement),
            cell(&criterion.value),
            interval,
            criterion.sample_count.to_string(),
            cell(&why(criterion)),
            criterion.section.clone(),
        ];
        lines.push(format!("| {} |", cells.join(" | ")));
    }
    lines.push(String::new());
    if !report.approver_roles.is_empty() {
        let roles = report.approver_roles.join(" and ");
        lines.push(format!("To be approved by {roles}, distinct people."));
    }
    lines.push(format!("Digest `{}`.", report.digest));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_table_is_escaped() {
        let criterion = pb::CriterionResult {
            title: "a | b".to_owned(),
            reason: "one\ntwo".to_owned(),
            ..Default::default()
        };
        let text = report(&pb::GateReport { criteria: vec![criterion], ..Default::default() });
        let row = text.lines().find(|line| line.contains("one")).unwrap();
        assert!(row.contains("a \\| b") && row.contains("one<br>two"), "{row}");
        assert_eq!(row.replace("\\|", "").matches('|').count(), 9, "{row}");
    }
}
