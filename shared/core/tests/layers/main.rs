//! The direction of imports: inside the core from layer to layer, and between the crates of the workspace.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod crates;
mod imports;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use imports::Import;

/// The modules of the core in layers, from the bottom. A module imports only from layers below its own.
const LAYERS: [&[&str]; 7] = [
    &["digest", "json", "nearest", "pack", "pages", "timestamp"],
    &["untrusted"],
    &["ids"],
    &["model"],
    &["api", "policy"],
    &["message"],
    &["alert", "metrics", "report"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// What is wrong with an import, if anything is.
fn fault(import: &Import) -> Option<String> {
    let (from, to) = (import.from.first()?, import.to.first()?);
    // `crate::text!` is a macro of `untrusted`.
    let to = if to == "text" { "untrusted" } else { to };
    let place = |module: &str| layer(module).map(|at| format!("{module} in layer {}", at + 1));
    let (Some(own), Some(other)) = (layer(from), layer(to)) else {
        let unknown = if layer(from).is_none() { from } else { to };
        return Some(format!("{}: '{unknown}' is in no layer: add it to LAYERS in this test", import.file));
    };
    (from != to && other >= own).then(|| {
        let path = import.to.join("::");
        let (from, to) = (place(from).unwrap_or_default(), place(to).unwrap_or_default());
        format!("{}: imports crate::{path}, but {from} may not import from {to}", import.file)
    })
}

#[test]
fn a_module_imports_only_from_layers_below_its_own() {
    let imports = imports::of_crate(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(imports.len() > 500, "only {} imports were found", imports.len());
    let faults: Vec<String> = imports.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Which modules of a folder name which others of it, by the folder.
fn siblings(imports: &[Import]) -> BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> {
    let modules: BTreeSet<&[String]> = imports.iter().map(|import| &import.from[..]).collect();
    let is_module = |path: &[String]| modules.iter().any(|module| module.starts_with(path));
    let mut folders = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
    for Import { from, to, .. } in imports {
        let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        let (Some(one), Some(other)) = (from.get(common), to.get(common)) else { continue };
        if is_module(&to[..=common]) {
            let folder = folders.entry(from[..common].to_vec()).or_default();
            folder.entry(one.clone()).or_default().insert(other.clone());
        }
    }
    folders
}

/// A circle of modules that can be reached from one of them.
fn circle(names: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>) -> bool {
    let Some(last) = path.last().cloned() else { return false };
    for next in names.get(&last).into_iter().flatten() {
        if path.contains(next) {
            path.push(next.clone());
            return true;
        }
        path.push(next.clone());
        if circle(names, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn circles(imports: &[Import]) -> Vec<String> {
    let in_folder = |(folder, names): (&Vec<String>, &BTreeMap<String, BTreeSet<String>>)| {
        names.keys().find_map(|start| {
            let mut path = vec![start.clone()];
            circle(names, &mut path).then(|| format!("crate::{}: {}", folder.join("::"), path.join(" → ")))
        })
    };
    siblings(imports).iter().filter_map(in_folder).collect()
}

#[test]
fn no_modules_of_a_folder_import_each_other_in_a_circle() {
    let imports = imports::of_crate(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let circles = circles(&imports);
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

fn of_text(module: &str, text: &str) -> Vec<Import> {
    let module: Vec<String> = module.split("::").map(ToOwned::to_owned).collect();
    let mut imports = Vec::new();
    imports::of_file(&module, text, &mut imports);
    imports
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let found = |text: &str| {
        let paths = of_text("model::alarm", text).into_iter().map(|import| import.to.join("::"));
        paths.collect::<Vec<_>>().join(" ")
    };
    let ways = [
        ("use crate::policy::Mode;", "policy::Mode"),
        (
            "use crate::{policy::{Mode, read::{self as other, Text}}, report};",
            "policy::Mode policy::read::self policy::read::Text report",
        ),
        ("use crate::policy::*;", "policy"),
        ("pub(in crate::model) use super::thing::Thing as Other;", "model model::thing::Thing"),
        (
            "fn f() -> Vec<crate::policy::Mode> { g(&crate::report::X, super::super::alert::Y) }",
            "policy::Mode report::X alert::Y",
        ),
        ("fn f() { println!(\"{}\", crate::policy::name::<u8>()) }", "policy::name"),
        ("struct S { #[serde(deserialize_with = \"crate::json::list\")] f: u8 }", "json::list"),
        ("mod inner { use super::super::thing::Thing; }", "model::thing::Thing"),
        ("#[cfg(test)] mod tests { use crate::policy::Policy; }\nuse crate::ids::X;", "ids::X"),
        (
            "// use crate::policy::A;\n/// [`B`](crate::policy::B)\nconst C: &str = \"see crate::policy::C\";",
            "",
        ),
        (
            "#[cfg(test)]\nuse crate::ids::X;\nmod inner { use crate::policy::Policy; }",
            "ids::X policy::Policy",
        ),
    ];
    for (text, expected) in ways {
        assert_eq!(found(text), expected.replace("policy::read::self", "policy::read"), "{text}");
    }
}

#[test]
fn an_import_that_breaks_a_layer_or_closes_a_circle_is_named() {
    let faults = |module: &str, text: &str| -> Vec<String> {
        of_text(module, text).iter().filter_map(fault).collect()
    };
    assert_eq!(
        faults("ids::names", "use crate::{digest::Digest, message::Audit};"),
        [
            "ids/names.rs: imports crate::message::Audit, but ids in layer 3 may not import from message in layer 6"
        ]
    );
    assert_eq!(
        faults("report::page", "use crate::metrics::NAMESPACE;").len(),
        1,
        "a neighbor of the same layer"
    );
    assert_eq!(faults("policy::read", "use super::file::File; use crate::text;"), [""; 0]);
    assert!(faults("ids::names", "use crate::elsewhere::X;")[0].contains("'elsewhere' is in no layer"));
    let mut imports = of_text("model::one", "use super::two::X;");
    imports.extend(of_text("model::two::part", "use crate::model::{three, one as first};"));
    assert_eq!(circles(&imports), ["crate::model: one → two → one"]);
}
