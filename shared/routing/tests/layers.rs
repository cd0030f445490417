//! The files of this crate depend on each other in one direction.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files that import from the crate's root, through which a cycle could hide. The readers of logs still do.
fn imports_from_root_allowed(module: &str) -> bool {
    module.starts_with("consumer") || module == "outbound"
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Every module, and the modules that it imports from.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths);
    let mut imports = BTreeMap::new();
    for path in paths {
        let name = path.strip_prefix(&source).unwrap().with_extension("");
        let name = name.to_str().unwrap().replace(['/', '\\'], "::");
        let module = name.trim_end_matches("::mod").to_owned();
        if module == "lib" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let imported = imports.entry(module.clone()).or_insert_with(BTreeSet::new);
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix("use crate::"))
        {
            let path = line.split(['{', ';', ' ']).next().unwrap();
            let lower = |part: &&str| part.starts_with(|first: char| first.is_ascii_lowercase());
            let parts: Vec<&str> = path.split("::").take_while(lower).collect();
            if parts.is_empty() {
                assert!(
                    imports_from_root_allowed(&module),
                    "{module} imports from the root: {line}"
                );
            }
            imported.insert(parts.join("::"));
        }
    }
    imports
}

#[test]
fn no_file_imports_itself_through_others() {
    let imports = imports();
    for start in imports.keys() {
        let mut reached = BTreeSet::new();
        let mut next = vec![start];
        while let Some(module) = next.pop() {
            for imported in imports.get(module).into_iter().flatten() {
                assert_ne!(
                    imported, start,
                    "{module} imports {imported}, which imports it"
                );
                if reached.insert(imported) {
                    next.push(imported);
                }
            }
        }
    }
}
