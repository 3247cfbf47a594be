//! The imports of a crate: which module names which other, wherever in its text it does so.
//!
//! A file is read as Rust's own tokens, so that neither a comment nor the way an import is written hides one: groups,
//! aliases, paths in expressions, types and macros, `super::`, and paths in the texts of attributes
//! (`#[serde(deserialize_with = "crate::json::list")]`).

use std::fs;
use std::path::Path;

use proc_macro2::Delimiter;
use proc_macro2::Spacing;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;

/// That a module names another, both as their paths in the crate: `model::alarm` is `["model", "alarm"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) file: String,
}

/// The imports of all files below a crate's `src`, those of tests left out.
pub(crate) fn of_crate(src: &Path) -> Vec<Import> {
    let mut imports = Vec::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(src).unwrap().with_extension("");
                let module: Vec<String> = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                if !is_test(&module) {
                    of_file(&module, &fs::read_to_string(&path).unwrap(), &mut imports);
                }
            }
        }
    }
    imports.sort();
    imports.dedup();
    imports
}

fn is_test(module: &[String]) -> bool {
    module.iter().any(|part| part == "tests" || part.ends_with("_tests"))
}

/// Adds the imports of one file.
pub(crate) fn of_file(module: &[String], text: &str, imports: &mut Vec<Import>) {
    let file = format!("{}.rs", module.join("/"));
    let module = if module == ["lib"] { &[] } else { module };
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
    let mut found = Vec::new();
    scan(module, tokens, &mut found);
    imports.extend(found.into_iter().map(|(from, to)| Import { from, to, file: file.clone() }));
}

type Found = Vec<(Vec<String>, Vec<String>)>;

/// Scans the tokens of a module.
fn scan(module: &[String], tokens: TokenStream, found: &mut Found) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut of_test = false;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Ident(word) if word == "mod" => {
                let inner = (tokens.get(at), tokens.get(at + 1));
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) = inner {
                    if !of_test {
                        let inner: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
                        scan(&inner, body.stream(), found);
                    }
                    at += 2;
                }
                of_test = false;
            }
            TokenTree::Ident(word) if is_start(&word.to_string()) && !continues(&tokens, at - 1) => {
                let start = vec![word.to_string()];
                at = path(module, &tokens, at, start, found);
            }
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.get(at) {
                    of_test |= attribute.stream().to_string().replace(' ', "") == "cfg(test)";
                }
            }
            TokenTree::Group(group) => {
                scan(module, group.stream(), found);
                // What an attribute is for comes after it; every other item is over with its body.
                of_test &= group.delimiter() == Delimiter::Bracket;
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let inner = text.trim_matches('"');
                let is_path = inner.split("::").next().is_some_and(is_start) && inner.contains("::");
                if let (true, Ok(inner)) = (is_path && !inner.contains(' '), inner.parse()) {
                    scan(module, inner, found);
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => of_test = false,
            _ => {}
        }
    }
}

fn is_start(word: &str) -> bool {
    matches!(word, "crate" | "super" | "self")
}

/// Whether the token at a place follows a `::`: then it does not start a path.
fn continues(tokens: &[TokenTree], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    matches!(before, Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
}

/// Follows a path from its next token on, into each branch of a group. Gives the place of the token after it.
fn path(
    module: &[String],
    tokens: &[TokenTree],
    mut at: usize,
    mut names: Vec<String>,
    found: &mut Found,
) -> usize {
    while separator(tokens, at) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(name)) => {
                names.push(name.to_string());
                at += 3;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in
                    branches.split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
                {
                    if let Some(TokenTree::Ident(name)) = branch.first() {
                        let names = names.iter().cloned().chain([name.to_string()]).collect();
                        path(module, branch, 1, names, found);
                    }
                }
                return at + 3;
            }
            // `::*` and `::<T>`.
            _ => break,
        }
    }
    if names.len() > 1 {
        found.push((module.to_vec(), resolved(module, &names)));
    }
    at
}

fn separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize, spacing| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':' && (spacing == Spacing::Alone || mark.spacing() == spacing));
    colon(at, Spacing::Joint) && colon(at + 1, Spacing::Alone)
}

/// A path from the crate's root.
fn resolved(module: &[String], names: &[String]) -> Vec<String> {
    let mut path =
        if names.first().is_some_and(|first| first == "crate") { Vec::new() } else { module.to_vec() };
    for name in names {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => drop(path.pop()),
            name => path.push(name.to_owned()),
        }
    }
    path
}
