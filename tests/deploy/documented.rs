//! What docs/telemetry.md says of each metric.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use softlaunch_tests::Tree;

/// A metric as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metric {
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: String,
    /// Its labels, but those that the exporter adds.
    pub(crate) labels: BTreeSet<String>,
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> String {
    let path = Tree::find().root.join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The table, by name.
pub(crate) fn metrics() -> BTreeMap<String, Metric> {
    let text = file("docs/telemetry.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `softlaunch_"));
    let read = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "name, type, labels, unit, meaning: {row}");
        let name = format!("softlaunch_{}", cells[0].trim_end_matches('`'));
        assert!(!cells[4].is_empty(), "{name} has no meaning");
        let labels = cells[2].split(',').map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned).collect();
        (name, Metric { kind: cells[1].to_owned(), labels })
    });
    let metrics: BTreeMap<_, _> = read.collect();
    assert!(metrics.len() > 20, "the table was read: {metrics:?}");
    metrics
}

/// The metrics of ours that a text of PromQL names and the table does not have.
pub(crate) fn unknown_metrics(text: &str) -> BTreeSet<String> {
    let metrics = metrics();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<_> = words.filter(|word| word.starts_with("softlaunch_")).collect();
    assert!(!named.is_empty(), "no metric is named in: {text}");
    let known = |name: &str| {
        let of_histogram = ["_bucket", "_count", "_sum"].iter().any(|part| {
            let whole = name.strip_suffix(part).and_then(|whole| metrics.get(whole));
            whole.is_some_and(|metric| metric.kind == "histogram")
        });
        of_histogram || metrics.get(name).is_some_and(|metric| metric.kind != "histogram")
    };
    named.into_iter().filter(|name| !known(name)).map(str::to_owned).collect()
}
