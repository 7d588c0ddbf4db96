//! Imports go down the floors of `docs/ARCHITECTURE.md`, never up and never sideways; unsafe code
//! stands in the kernels and in `bytes/mapped.rs` alone. Read from the source text, tests in `src` included.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands below may be imported by what stands above. Each line is a floor, or part of one where
/// a floor has an order of its own:
///
/// - operations read the plain settings of a layer (`Conv2d`, `Activation`), which know no operation;
/// - the facade's saving reports the facade's error;
/// - `demo` is what the programs `demo` and `keepnet resume` share;
/// - `benchable` opens the kernels to the benches, and nothing imports it.
const FLOORS: [&[&str]; 11] = [
    &["tensor", "bytes"],
    &["kernels"],
    &["model"],
    &["ops"],
    &["nn", "wire"],
    &["train", "format", "report"],
    &["error"],
    &["saving"],
    &["demo"],
    &["benchable"],
    &["lib"],
];

/// Where code may be unsafe: in all of the kernels, and where a file is mapped.
const UNSAFE: [&[&str]; 2] = [&["kernels"], &["bytes", "mapped"]];

fn floor(module: &str) -> usize {
    let floor = FLOORS.iter().position(|modules| modules.contains(&module));
    floor
        .unwrap_or_else(|| panic!("`{module}` stands on no floor: say on which in tests/floors.rs"))
}

/// Words, and marks of one character (`::` is one mark); no comments, no text in quotes.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = quoted(rest) {
            length
        } else if word(first) {
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let token = &rest[..length];
        if word(first) && quoted(rest).is_none() || "{}():;,*<>=!#[]".contains(first) {
            tokens.push(token.to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// The length of the text in quotes, raw or not, or of the character, that `rest` starts with.
fn quoted(rest: &str) -> Option<usize> {
    let unprefixed = rest.strip_prefix('b').unwrap_or(rest);
    let prefix = rest.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let text = raw[hashes..].strip_prefix('"')?;
        return Some(prefix + 1 + hashes + 1 + text.find(&end)? + end.len());
    }
    let mark = unprefixed.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let mut escaped = false;
    for (at, c) in unprefixed.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return Some(prefix + at + 1),
            // A lifetime or label: one quote, then a word and no other quote.
            _ if mark == '\'' && at > 1 && !unprefixed.starts_with("'\\") => return None,
            _ => {}
        }
    }
    None
}

/// The paths that start at `at`, of which groups in braces make several; `*` stands for itself.
fn paths(tokens: &[String], at: &mut usize) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    while let Some(token) = tokens.get(*at) {
        if token == "{" {
            *at += 1;
            let mut all = Vec::new();
            while tokens.get(*at).is_some_and(|token| token != "}") {
                if tokens[*at] == "as" {
                    *at += 2;
                    continue;
                }
                let start = *at;
                for rest in paths(tokens, at) {
                    all.push([path.clone(), rest].concat());
                }
                *at += usize::from(*at == start); // a comma
            }
            *at += 1;
            return all;
        }
        let word = token == "*" || token.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !word {
            break;
        }
        path.push(token.clone());
        *at += 1;
        if tokens.get(*at).is_none_or(|token| token != "::") {
            break;
        }
        *at += 1;
    }
    if path.is_empty() { Vec::new() } else { vec![path] }
}

/// The modules of the crate that the source of `module` (as `["nn", "plan"]`) reaches by `crate` or
/// `super`, from inside modules of the file too.
fn reached(module: &[String], source: &str) -> BTreeSet<String> {
    let tokens = tokens(source);
    let mut reached = BTreeSet::new();
    // Modules written out in this file, with the depth of braces at which each ends.
    let mut inside: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut at) = (0, 0);
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inside.retain(|(_, outer)| *outer < depth);
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token == "{") => {
                inside.push((tokens[at + 1].clone(), depth));
            }
            // `pub(crate)` is no path, and `super::super` is one.
            "crate" | "super"
                if tokens.get(at + 1).is_some_and(|token| token == "::")
                    && (at == 0 || tokens[at - 1] != "::") =>
            {
                let here: Vec<String> =
                    module.iter().chain(inside.iter().map(|(name, _)| name)).cloned().collect();
                let mut after = at;
                for path in paths(&tokens, &mut after) {
                    reached.insert(top(&here, &path));
                }
            }
            _ => {}
        }
        at += 1;
    }
    reached
}

/// The module right below the crate's root that `path` from `here` leads into; `lib` for the root's
/// own names.
fn top(here: &[String], path: &[String]) -> String {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let rest = &path[supers..];
    let absolute: Vec<String> = match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        _ => [&here[..here.len() - supers], rest].concat(),
    };
    let is_module = |name: &&String| FLOORS.iter().any(|modules| modules.contains(&name.as_str()));
    absolute.first().filter(is_module).cloned().unwrap_or_else(|| "lib".to_owned())
}

/// All source files of the library, with the modules they are.
fn files() -> Vec<(Vec<String>, PathBuf)> {
    fn visit(dir: &Path, module: &[String], files: &mut Vec<(Vec<String>, PathBuf)>) {
        for entry in fs::read_dir(dir).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let inner = [module, std::slice::from_ref(&name)].concat();
            if path.is_dir() {
                // The programs stand on top of all, and see the library from outside.
                if !(module.is_empty() && name == "bin") {
                    visit(&path, &inner, files);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let root = ["mod", "lib", "main"].contains(&name.as_str());
                files.push((if root { module.to_vec() } else { inner }, path));
            }
        }
    }
    let mut files = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

fn top_of(module: &[String]) -> &str {
    module.first().map_or("lib", String::as_str)
}

/// What `from` may not import.
fn is_forbidden(from: &str, to: &str) -> bool {
    from != to && floor(from) <= floor(to)
}

#[test]
fn imports_go_down() {
    let mut faults = Vec::new();
    for (module, path) in files() {
        let source = fs::read_to_string(&path).expect("text");
        for to in reached(&module, &source) {
            let from = top_of(&module);
            if is_forbidden(from, &to) {
                faults.push(format!("{}: {from} imports {to}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "imports that do not go down:\n{}", faults.join("\n"));
}

#[test]
fn unsafe_code_stands_in_its_places() {
    let holds_unsafe = |path: &Path| {
        let source = fs::read_to_string(path).expect("text");
        tokens(&source).iter().any(|token| token == "unsafe")
    };
    let files = files();
    for place in UNSAFE {
        let mut inside = files.iter().filter(|(module, _)| starts_with(module, place));
        assert!(inside.any(|(_, path)| holds_unsafe(path)), "{place:?} needs no leave");
    }
    let outside =
        (files.iter()).filter(|(module, _)| !UNSAFE.iter().any(|place| starts_with(module, place)));
    let faults: Vec<_> = outside.filter(|(_, path)| holds_unsafe(path)).collect();
    assert!(faults.is_empty(), "unsafe code outside {UNSAFE:?}: {faults:?}");
}

fn starts_with(module: &[String], place: &[&str]) -> bool {
    module.len() >= place.len() && module.iter().zip(place).all(|(name, place)| name == place)
}

/// The reading itself, on what may mislead it.
#[test]
fn imports_are_found_however_they_are_written() {
    let module = ["nn".to_owned(), "plan".to_owned()];
    let all = |source: &str| Vec::from_iter(reached(&module, source));
    assert_eq!(all("use crate::ops::dense;"), ["ops"]);
    assert_eq!(all("use crate::{ops::{dense, add as plus}, tensor as t};"), ["ops", "tensor"]);
    assert_eq!(all("use super::layout::Layout; use super::super::train;"), ["nn", "train"]);
    assert_eq!(all("fn f() -> crate::report::Table { crate::Model::new() }"), ["lib", "report"]);
    assert_eq!(all("pub(crate) fn f() {} // crate::train\n/* crate::train */"), [""; 0]);
    let quoted = r##"const A: &str = "\"crate::train"; const B: &str = r#"""crate::train"#;"##;
    assert_eq!(all(quoted), [""; 0]);
    let marks = r#"fn f<'a>(c: char) -> &'a str { match c { '\'' | '"' => crate::wire::x() } }"#;
    assert_eq!(all(marks), ["wire"]);
    // Inside a module of the file, one more `super` leads to the same place.
    let inner =
        "mod tests { use super::*; use super::super::batch; use super::super::super::wire; }";
    assert_eq!(all(inner), ["nn", "wire"]);
    assert_eq!(all("mod tests { fn f() { {} } } use super::super::wire;"), ["wire"]);
    for (from, to, forbidden) in [
        ("ops", "model", false),
        ("model", "ops", true),
        ("nn", "wire", true),
        ("format", "nn", false),
        ("train", "format", true),
        ("tensor", "lib", true),
        ("nn", "nn", false),
    ] {
        assert_eq!(is_forbidden(from, to), forbidden, "{from} to {to}");
    }
}
