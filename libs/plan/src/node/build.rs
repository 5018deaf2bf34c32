//! Builds the tree from the parser's events, within bounds.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{Entry, Node, Value};
use crate::problem::{Place, Problems};

const FILE_SIZE_MAX_BYTES: usize = 1024 * 1024; // D7's own plan is 30 KiB.
const DEPTH_MAX: usize = 16; // The deepest place of a plan is 7.
const NODES_MAX: usize = 50_000; // Bounds memory; D7's own plan has about 2,000.
const KEYS_MAX: usize = 100; // Of one map; bounds the search for keys given twice.

/// Reads the one document of `text`; `None` where it cannot be told what was meant.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > FILE_SIZE_MAX_BYTES {
        let message =
            format!("the file has {} bytes: at most {FILE_SIZE_MAX_BYTES} are allowed", text.len());
        problems.error(Place::START, "", message);
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str(text);
    let mut build = Build { open: Vec::new(), root: None, nodes: 0, problems };
    loop {
        match parser.next_event()? {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => build.take(event, place_of(span.start))?,
            Err(error) => {
                let path = build.path();
                let message = format!("this is not YAML: {}", error.info());
                build.problems.error(place_of(*error.marker()), &path, message);
                return None;
            }
        }
    }
    if build.root.is_none() {
        build.problems.error(Place::START, "", "the file is empty: expected a plan");
    }
    build.root
}

fn place_of(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A list or map that has begun and not ended.
enum Open {
    List { place: Place, items: Vec<Node> },
    Map { place: Place, entries: Vec<Entry>, key: Option<(String, Place)>, twice: bool },
}

struct Build<'p> {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    problems: &'p mut Problems,
}

impl Build<'_> {
    /// Takes one event; `None` where going on makes no sense.
    fn take(&mut self, event: Event<'_>, place: Place) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                self.stop(place, "a second document begins here: expected one plan in a file")
            }
            Event::DocumentStart(_) => Some(()),
            Event::Alias(_) => {
                self.refuse(place, "aliases (`*name`) are not allowed: write the value out");
                self.add(place, Value::Refused)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(place, anchor != 0, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                self.scalar(place, text.into_owned(), plain)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(place, anchor != 0, tag.is_some());
                self.begin(place, Open::List { place, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(place, anchor != 0, tag.is_some());
                self.begin(place, Open::Map { place, entries: Vec::new(), key: None, twice: false })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, place: Place, open: Open) -> Option<()> {
        if self.awaits_key() {
            return self.stop(place, "a key is a list or a map: expected a word");
        }
        if self.open.len() >= DEPTH_MAX {
            let message = format!("nested too deeply: at most {DEPTH_MAX} levels are allowed");
            return self.stop(place, &message);
        }
        self.open.push(open);
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        match self.open.pop()? {
            Open::List { place, items } => self.add(place, Value::List(items)),
            Open::Map { place, entries, .. } => self.add(place, Value::Map(entries)),
        }
    }

    fn scalar(&mut self, place: Place, text: String, plain: bool) -> Option<()> {
        if !self.awaits_key() {
            return self.add(place, Value::Scalar { text, plain });
        }
        let Some(Open::Map { entries, key, twice, .. }) = self.open.last_mut() else { return None };
        let first = entries.iter().find(|entry| entry.key == text).map(|entry| entry.place.line);
        let full = entries.len() >= KEYS_MAX;
        *twice = first.is_some();
        *key = Some((text.clone(), place));
        if full {
            return self.stop(place, &format!("more than {KEYS_MAX} keys in one map"));
        }
        if let Some(line) = first {
            let text = vocab::excerpt(&text);
            self.refuse(place, &format!("`{text}` is given twice: first on line {line}"));
        }
        Some(())
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, place: Place, value: Value) -> Option<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return self.stop(place, &format!("more than {NODES_MAX} values in the file"));
        }
        let node = Node { value, place };
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, twice, .. }) => match key.take() {
                Some(_) if *twice => {}
                Some((key, place)) => entries.push(Entry { key, place, value: node }),
                None => return self.stop(place, "a key is an alias: expected a word"),
            },
        }
        Some(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn refuse_extras(&mut self, place: Place, anchor: bool, tag: bool) {
        if anchor {
            self.refuse(place, "anchors (`&name`) are not allowed: write the value out");
        }
        if tag {
            self.refuse(place, "tags (`!name`) are not allowed");
        }
    }

    fn refuse(&mut self, place: Place, message: &str) {
        let path = self.path();
        self.problems.error(place, &path, message);
    }

    fn stop(&mut self, place: Place, message: &str) -> Option<()> {
        self.refuse(place, message);
        None
    }

    /// Where the build stands, e.g. `phases[2].ramp`.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Open::Map { key: Some((key, _)), .. } => {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(&format!("{dot}{}", vocab::excerpt(key)));
                }
                Open::Map { key: None, .. } => {}
            }
        }
        path
    }
}
