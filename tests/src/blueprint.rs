//! The workspace as cargo sees it: crates, edges, files, locked versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{
    DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, TargetKind,
};

/// Folders that hold nothing anybody wrote.
const NOT_OURS: [&str; 3] = ["target", ".git", "softlaunch-data"];

/// The workspace's crates and everything they depend on.
#[derive(Debug)]
pub struct Blueprint {
    /// As cargo says, for this platform.
    pub metadata: Metadata,
}

/// A package in `Cargo.lock`, for any platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Name on the registry.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// Where it comes from; `None` for our own.
    pub source: Option<String>,
}

/// The files of the workspace.
#[derive(Debug)]
pub struct Tree {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
}

impl Blueprint {
    /// Asks cargo.
    ///
    /// # Panics
    /// Where the workspace does not resolve.
    #[must_use]
    pub fn read() -> Self {
        // Other platforms' crates are not downloaded by a build, so they are not asked for.
        let options = ["--filter-platform".to_owned(), host()];
        let metadata = MetadataCommand::new()
            .manifest_path(Tree::find().root.join("Cargo.toml"))
            .other_options(options)
            .exec();
        Self { metadata: metadata.expect("the workspace resolves") }
    }

    /// Our own crates.
    #[must_use]
    pub fn crates(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// The crate of that name.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn krate(&self, name: &str) -> &Package {
        let found = self.crates().into_iter().find(|one| one.name.as_str() == name);
        found.unwrap_or_else(|| panic!("the workspace has no crate {name}"))
    }

    /// Direct dependencies on crates of ours, by kind.
    #[must_use]
    pub fn edges(&self, from: &Package) -> Vec<(String, DependencyKind)> {
        let ours: BTreeSet<_> = self.crates().iter().map(|one| one.name.to_string()).collect();
        let all = from.dependencies.iter();
        let own = all.filter(|one| one.path.is_some() && ours.contains(&one.name));
        own.map(|one| (one.name.clone(), one.kind)).collect()
    }

    /// Names of everything that is linked into `from`, through any number of crates, with one
    /// path that leads there.
    ///
    /// # Panics
    /// Where cargo gave no graph.
    #[must_use]
    pub fn linked(&self, from: &Package) -> BTreeMap<String, Vec<String>> {
        let graph = self.metadata.resolve.as_ref().expect("cargo resolved the graph");
        let nodes: BTreeMap<&PackageId, &Node> =
            graph.nodes.iter().map(|node| (&node.id, node)).collect();
        let mut reached: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut open = vec![(&from.id, vec![from.name.to_string()])];
        while let Some((id, path)) = open.pop() {
            let links = nodes.get(id).into_iter().flat_map(|node| node.deps.iter());
            let normal = links.filter(|link| {
                link.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            for link in normal {
                let package = &self.metadata[&link.pkg];
                let mut path = path.clone();
                path.push(package.name.to_string());
                let is_macro = package
                    .targets
                    .iter()
                    .any(|target| target.kind.contains(&TargetKind::ProcMacro));
                if !reached.contains_key(package.name.as_str()) && !is_macro {
                    reached.insert(package.name.to_string(), path.clone());
                    open.push((&link.pkg, path));
                }
            }
        }
        reached
    }
}

/// The platform this runs on, as rustc names it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc writes UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

impl Tree {
    /// Finds the root beside this crate.
    ///
    /// # Panics
    /// Where this crate is not inside the workspace.
    #[must_use]
    pub fn find() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the root");
        Self { root: root.to_owned() }
    }

    /// Every file somebody wrote below `folder` whose name ends with one of `endings`.
    #[must_use]
    pub fn files(&self, folder: &str, endings: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.root.join(folder), endings, &mut found);
        found.sort();
        found
    }

    /// A path as seen from the root.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Everything `Cargo.lock` pins.
    ///
    /// # Panics
    /// Where there is no lock file.
    #[must_use]
    pub fn locked(&self) -> Vec<Locked> {
        let text = fs::read_to_string(self.root.join("Cargo.lock")).expect("Cargo.lock is there");
        let blocks = text.split("[[package]]").skip(1);
        let value = |block: &str, key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
            line.map(|quoted| quoted.trim_matches('"').to_owned())
        };
        let read = blocks.map(|block| Locked {
            name: value(block, "name").expect("a locked package has a name"),
            version: value(block, "version").expect("a locked package has a version"),
            source: value(block, "source"),
        });
        read.collect()
    }
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}
