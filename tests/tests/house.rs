//! The rules of the house: the source of every crate goes in, what breaks a rule comes out. No two
//! files of a crate import each other in a circle, and no function is longer than a page.
//!
//! What breaks a rule today stands on a list that may only shrink: what is not on it fails the
//! test, and so does an entry whose reason is gone. Code is broken at 100 columns by rustfmt, which
//! leaves comments as they are: for those there is a rule here.
//!
//! An import is a `use`, or a path in the code, that leads to an item of another file; a name that
//! a module only hands on (`pub use child::X`) counts for the file where it was made. What
//! `#[cfg(test)]` is on is left out. A call of a method is not followed to the file where the
//! method stands.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

/// The crates that are judged, by folder.
const CRATES: [&str; 12] = [
    "core",
    "core-c",
    "examples/embedding",
    "fuzz",
    "platform-baremetal",
    "platform-linux",
    "platform-linux/mem",
    "platform-sim",
    "simulation",
    "tests",
    "virtio-console",
    "xtask",
];

/// The files that stand in circles today: the crate, and the files of one knot, each of which
/// imports each other one, if only by way of a third.
const KNOTS: &[(&str, &[&str])] = &[
    (
        "xtask",
        &[
            "bench.rs",
            "bench/footprint.rs",
            "bench/slow.rs",
            "bench/speed.rs",
            "bench/trace.rs",
            "bench/vm.rs",
        ],
    ),
    ("xtask", &["size.rs", "size/document.rs"]),
    ("xtask", &["size/image.rs", "size/names.rs"]),
    ("xtask", &["vm/boot.rs", "vm/builder.rs", "vm/guest.rs", "vm/mod.rs"]),
    ("xtask", &["fuzz.rs", "fuzz/build.rs", "fuzz/campaign.rs"]),
    ("xtask", &["soak.rs", "soak/acts.rs", "soak/load.rs", "soak/sample.rs", "soak/verdict.rs"]),
];

/// The longest function in lines, its signature and its last bracket among them.
const FUNCTION_LINES_MAX: usize = 70;

/// The functions that are longer today, each with how long it may be.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// The widest comment.
const COMMENT_COLUMNS_MAX: usize = 100;

/// The files in which a comment is wider today, by their beginnings.
const WIDE_COMMENTS: &[&str] = &[];

/// How many aliases may lead from one to the next: the names of a crate that compiles lead nowhere
/// in a circle.
const ALIASES_MAX: usize = 16;

/// A module: where it stands, and what its names lead to.
struct Module {
    parent: Option<usize>,
    file: usize,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    /// Each name with all that it may stand for: which it is can depend on the machine.
    aliases: BTreeMap<String, Vec<Vec<String>>>,
    globs: Vec<Vec<String>>,
    code: Vec<Item>,
}

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Module(usize),
    Item { file: usize },
}

/// A crate: its files, its modules, and which file imports which, with the line.
#[derive(Default)]
struct Source {
    files: Vec<String>,
    modules: Vec<Module>,
    imports: BTreeMap<(usize, usize), usize>,
}

/// Gives the text of a file of a crate, by its path in `src`.
type Read<'r> = &'r dyn Fn(&str) -> Option<String>;

impl Source {
    /// Reads a crate from its roots, those of them that are there.
    fn read(roots: &[String], read: Read<'_>) -> Source {
        let mut source = Source::default();
        for root in roots.iter().filter(|root| read(root).is_some()) {
            let folder = root.rfind('/').map_or("", |at| &root[..=at]);
            source.add_file(root, None, folder, read);
        }
        for module in 0..source.modules.len() {
            let code = std::mem::take(&mut source.modules[module].code);
            let mut uses = Uses { source: &source, module, found: Vec::new() };
            code.iter().for_each(|item| uses.visit_item(item));
            let from = source.modules[module].file;
            for (to, line) in uses.found {
                if from != to {
                    let first = source.imports.entry((from, to)).or_insert(line);
                    *first = line.min(*first);
                }
            }
        }
        source
    }

    /// Adds a file and all modules below it; `folder` is where its children lie.
    fn add_file(
        &mut self,
        path: &str,
        parent: Option<usize>,
        folder: &str,
        read: Read<'_>,
    ) -> usize {
        let text = read(path).unwrap_or_else(|| panic!("no file {path}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.files.push(path.to_owned());
        self.add_module(parsed.items, parent, self.files.len() - 1, folder, read)
    }

    fn add_module(
        &mut self,
        items: Vec<Item>,
        parent: Option<usize>,
        file: usize,
        folder: &str,
        read: Read<'_>,
    ) -> usize {
        let number = self.modules.len();
        self.modules.push(Module {
            parent,
            file,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            aliases: BTreeMap::new(),
            globs: Vec::new(),
            code: Vec::new(),
        });
        let kept: Vec<Item> = items.into_iter().filter(|item| !is_of_tests(item)).collect();
        for item in &kept {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let below = self.add_child(child, number, file, folder, read);
                    self.modules[number].children.insert(name, below);
                }
                Item::Use(item) => {
                    for leaf in leaves(&item.tree) {
                        let module = &mut self.modules[number];
                        match leaf.name {
                            Some(name) => module.aliases.entry(name).or_default().push(leaf.path),
                            None => module.globs.push(leaf.path),
                        }
                    }
                }
                other => self.modules[number].items.extend(name_of(other)),
            }
        }
        self.modules[number].code = kept;
        number
    }

    fn add_child(
        &mut self,
        child: &syn::ItemMod,
        parent: usize,
        file: usize,
        folder: &str,
        read: Read<'_>,
    ) -> usize {
        let name = child.ident.to_string();
        let below = format!("{folder}{name}/");
        if let Some((_, items)) = &child.content {
            return self.add_module(items.clone(), Some(parent), file, &below, read);
        }
        if let Some(path) = path_attribute(&child.attrs) {
            let own = &self.files[file];
            let path = format!("{}{path}", own.rfind('/').map_or("", |at| &own[..=at]));
            let folder = path.rfind('/').map_or("", |at| &path[..=at]).to_owned();
            return self.add_file(&path, Some(parent), &folder, read);
        }
        let plain = format!("{folder}{name}.rs");
        let path = if read(&plain).is_some() { plain } else { format!("{below}mod.rs") };
        self.add_file(&path, Some(parent), &below, read)
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    /// What a path may lead to, seen from a module; nothing for what is not of this crate.
    fn resolve(&self, module: usize, path: &[String], aliases: usize) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let begin = match first.as_str() {
            "crate" => vec![Target::Module(self.root(module))],
            "self" => vec![Target::Module(module)],
            "super" => self.modules[module].parent.map(Target::Module).into_iter().collect(),
            name => self.look_up(module, name, aliases),
        };
        rest.iter().fold(begin, |at, name| {
            at.into_iter().flat_map(|target| self.step(target, name, aliases)).collect()
        })
    }

    /// What a name after `::` may lead to.
    fn step(&self, at: Target, name: &str, aliases: usize) -> Vec<Target> {
        let Target::Module(here) = at else { return vec![at] };
        match name {
            "self" => vec![at],
            "super" => self.modules[here].parent.map(Target::Module).into_iter().collect(),
            name => {
                let mut found = self.look_up(here, name, aliases);
                if found.is_empty() {
                    // Not seen being made: a macro makes it.
                    found.push(Target::Item { file: self.modules[here].file });
                }
                found
            }
        }
    }

    /// What a name may mean in a module.
    fn look_up(&self, module: usize, name: &str, aliases: usize) -> Vec<Target> {
        let here = &self.modules[module];
        if here.items.contains(name) {
            return vec![Target::Item { file: here.file }];
        }
        if let Some(&child) = here.children.get(name) {
            return vec![Target::Module(child)];
        }
        let Some(left) = aliases.checked_sub(1) else { return Vec::new() };
        if let Some(paths) = here.aliases.get(name) {
            return paths.iter().flat_map(|path| self.resolve(module, path, left)).collect();
        }
        let globs = here.globs.iter().flat_map(|path| self.resolve(module, path, left));
        globs
            .flat_map(|target| match target {
                Target::Module(other) => self.look_up(other, name, left),
                Target::Item { .. } => Vec::new(),
            })
            .collect()
    }

    fn file_of(&self, target: Target) -> usize {
        match target {
            Target::Module(module) => self.modules[module].file,
            Target::Item { file } => file,
        }
    }

    /// Whether a module lies below another one.
    fn is_below(&self, module: usize, above: usize) -> bool {
        let mut parents = std::iter::successors(Some(module), |&at| self.modules[at].parent);
        parents.any(|at| at == above)
    }

    /// The shortest way from one file to another, by imports: the files, both ends among them.
    fn way(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut came_from = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            for &(_, file) in self.imports.keys().filter(|(importer, _)| *importer == at) {
                if came_from.contains_key(&file) {
                    continue;
                }
                came_from.insert(file, at);
                if file == to {
                    let mut way = vec![to];
                    let mut here = to;
                    while let Some(&before) = came_from.get(&here) {
                        way.push(before);
                        here = before;
                        if here == from {
                            break;
                        }
                    }
                    way.reverse();
                    return Some(way);
                }
                next.push_back(file);
            }
        }
        None
    }

    /// The knots: files that import each other, however long the way is.
    fn knots(&self) -> Vec<BTreeSet<usize>> {
        let mut knots: Vec<BTreeSet<usize>> = Vec::new();
        for file in 0..self.files.len() {
            if knots.iter().any(|knot| knot.contains(&file)) || self.way(file, file).is_none() {
                continue;
            }
            let both =
                |&other: &usize| self.way(file, other).is_some() && self.way(other, file).is_some();
            knots.push((0..self.files.len()).filter(both).collect());
        }
        knots
    }

    /// The shortest circle through one of these files, with the line of each import.
    fn circle(&self, files: impl Iterator<Item = usize>) -> String {
        let ways = files.filter_map(|file| self.way(file, file));
        let shortest = ways.min_by_key(Vec::len).unwrap_or_default();
        let step = |pair: &[usize]| {
            let line = self.imports.get(&(pair[0], pair[1])).copied().unwrap_or(0);
            format!("{}:{line} -> ", self.files[pair[0]])
        };
        let steps: String = shortest.windows(2).map(step).collect();
        steps + shortest.last().map_or("", |&last| &self.files[last])
    }

    fn names(&self, knot: &BTreeSet<usize>) -> BTreeSet<&str> {
        knot.iter().map(|&file| self.files[file].as_str()).collect()
    }
}

/// A name that a `use` brings; nothing for `*`.
struct Leaf {
    path: Vec<String>,
    name: Option<String>,
}

/// The names that a `use` brings, each with its whole path.
fn leaves(tree: &UseTree) -> Vec<Leaf> {
    fn walk(tree: &UseTree, path: &[String], into: &mut Vec<Leaf>) {
        let with = |name: &str| [path, &[name.to_owned()]].concat();
        match tree {
            UseTree::Path(tree) => walk(&tree.tree, &with(&tree.ident.to_string()), into),
            UseTree::Name(tree) if tree.ident == "self" => {
                into.push(Leaf { path: path.to_vec(), name: path.last().cloned() });
            }
            UseTree::Name(tree) => {
                let name = tree.ident.to_string();
                into.push(Leaf { path: with(&name), name: Some(name) });
            }
            UseTree::Rename(tree) => {
                let path = with(&tree.ident.to_string());
                into.push(Leaf { path, name: Some(tree.rename.to_string()) });
            }
            UseTree::Glob(_) => into.push(Leaf { path: path.to_vec(), name: None }),
            UseTree::Group(tree) => tree.items.iter().for_each(|tree| walk(tree, path, into)),
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

/// The names that an item makes.
fn name_of(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => match &item.ident {
            Some(name) => name,
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

/// Whether an item is there in tests only.
fn is_of_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// The path of `#[path = "..."]`, where a module has one.
fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Looks through the code of a module for paths that lead to other files.
struct Uses<'s> {
    source: &'s Source,
    module: usize,
    found: Vec<(usize, usize)>,
}

impl Uses<'_> {
    fn path(&mut self, path: &[String], line: usize) {
        // A single name that is a module's as well is a variable of that name.
        let is_variable = path.len() == 1
            && path.iter().all(|name| {
                self.source.modules[self.module].children.contains_key(name) || name == "crate"
            });
        if is_variable {
            return;
        }
        let targets = self.source.resolve(self.module, path, ALIASES_MAX);
        self.found.extend(targets.into_iter().map(|target| (self.source.file_of(target), line)));
    }

    /// Whether this `use` only hands on what lies below.
    fn hands_on(&self, item: &syn::ItemUse, leaf: &Leaf) -> bool {
        let targets = self.source.resolve(self.module, &leaf.path, ALIASES_MAX);
        let below = targets.iter().all(|&target| match target {
            Target::Module(module) => self.source.is_below(module, self.module),
            Target::Item { file } => {
                let mut modules = 0..self.source.modules.len();
                modules.any(|module| {
                    self.source.modules[module].file == file
                        && self.source.is_below(module, self.module)
                })
            }
        });
        below && !matches!(item.vis, Visibility::Inherited)
    }

    /// The paths in what a macro is given: names joined by `::`, none after a dot.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons, mut dot) = (0, 0, false);
        for token in tokens {
            let goes_on = match &token {
                TokenTree::Ident(_) => colons == 2,
                TokenTree::Punct(mark) => mark.as_char() == ':' && colons < 2,
                _ => false,
            };
            if !goes_on {
                self.path(&std::mem::take(&mut path), line);
                colons = 0;
            }
            let was_dot = std::mem::take(&mut dot);
            match token {
                // The name of a field or method.
                TokenTree::Ident(_) if was_dot => {}
                TokenTree::Ident(name) => {
                    line = name.span().start().line;
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if goes_on => colons += usize::from(mark.as_char() == ':'),
                // Two of them are a range.
                TokenTree::Punct(mark) => dot = mark.as_char() == '.' && !was_dot,
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(_) => {}
            }
        }
        self.path(&path, line);
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    // A module of its own.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let line = item.span().start().line;
        for leaf in leaves(&item.tree) {
            if !self.hands_on(item, &leaf) {
                self.path(&leaf.path, line);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.path(&names, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }
}

/// What is wrong with the circles of a crate, in view of the knots that are known.
fn wrong_circles(name: &str, source: &Source, known: &[(&str, &[&str])]) -> Vec<String> {
    let known: Vec<_> =
        known.iter().filter(|(of, _)| *of == name).map(|(_, files)| *files).collect();
    let knots = source.knots();
    let mut wrong = Vec::new();
    for knot in &knots {
        let files = source.names(knot);
        let listed = |list: &&[&str]| files.iter().all(|file| list.contains(file));
        if !known.iter().any(listed) {
            let new = knot.iter().copied().filter(|&file| {
                !known.iter().any(|list| list.contains(&source.files[file].as_str()))
            });
            let new: Vec<usize> = new.collect();
            let through = if new.is_empty() { knot.iter().copied().collect() } else { new };
            let circle = source.circle(through.into_iter());
            wrong.push(format!("{name}: a circle: {circle} (of the knot {files:?})"));
        }
    }
    for file in known.iter().copied().flatten() {
        if !knots.iter().any(|knot| source.names(knot).contains(file)) {
            wrong.push(format!("{name}: {file} is in no circle any more: strike it from the list"));
        }
    }
    wrong
}

/// A function that is too long: its name, and how many lines it has.
#[derive(PartialEq, Eq, Debug)]
struct Long {
    name: String,
    lines: usize,
}

/// Looks for functions that are too long.
#[derive(Default)]
struct Lengths {
    found: Vec<Long>,
}

impl Lengths {
    fn of(text: &str) -> syn::Result<Vec<Long>> {
        let mut lengths = Lengths::default();
        lengths.visit_file(&syn::parse_file(text)?);
        Ok(lengths.found)
    }

    fn judge(&mut self, head: &syn::Signature, body: &syn::Block) {
        let lines = body.span().end().line + 1 - head.span().start().line;
        if lines > FUNCTION_LINES_MAX {
            self.found.push(Long { name: head.ident.to_string(), lines });
        }
    }
}

impl<'ast> Visit<'ast> for Lengths {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.judge(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.judge(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.judge(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// The source files below a folder of the repository, by their paths in it.
fn files_below(root: &Path, folder: &str, into: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{folder}/{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(root, &path, into),
            Ok(_) if name.ends_with(".rs") => into.push(path),
            _ => {}
        }
    }
    into.sort();
}

/// The folder of the repository.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Reads a crate of the repository, if it has source.
fn source_of(name: &str) -> Source {
    let folder = repository().join(name).join("src");
    let mut roots = vec!["lib.rs".to_owned(), "main.rs".to_owned()];
    let mut binaries = Vec::new();
    files_below(&folder, "bin", &mut binaries);
    roots.append(&mut binaries);
    Source::read(&roots, &|path| fs::read_to_string(folder.join(path)).ok())
}

/// An invented crate.
fn invented(files: &[(&str, &str)]) -> Source {
    Source::read(&["lib.rs".to_owned()], &|path| {
        files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
    })
}

#[test]
fn no_circle_of_imports() {
    let mut wrong = Vec::new();
    for name in CRATES {
        let source = source_of(name);
        wrong.extend(wrong_circles(name, &source, KNOTS));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_function_is_longer_than_a_page() {
    let mut wrong = Vec::new();
    let mut known: Vec<_> = LONG_FUNCTIONS.to_vec();
    for name in CRATES {
        let mut files = Vec::new();
        files_below(repository(), &format!("{name}/src"), &mut files);
        for file in files {
            let text = fs::read_to_string(repository().join(&file)).expect("a file");
            let found = Lengths::of(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            for Long { name, lines } in found {
                let entry = known
                    .iter()
                    .position(|(of, long, most)| *of == file && *long == name && lines <= *most);
                match entry {
                    Some(entry) => drop(known.remove(entry)),
                    None => wrong.push(format!("{file}: {name} has {lines} lines")),
                }
            }
        }
    }
    for (file, name, _) in known {
        wrong.push(format!("{file}: {name} is no longer too long: strike it from the list"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_comment_is_wider_than_a_page() {
    let mut wide: Vec<(String, usize)> = Vec::new();
    let mut files = Vec::new();
    for name in CRATES {
        for folder in ["src", "tests", "fuzz_targets"] {
            files_below(repository(), &format!("{name}/{folder}"), &mut files);
        }
    }
    for file in files {
        let text = fs::read_to_string(repository().join(&file)).expect("a file");
        let found = text.lines().position(|line| {
            line.trim_start().starts_with("//") && line.chars().count() > COMMENT_COLUMNS_MAX
        });
        wide.extend(found.map(|at| (file, at + 1)));
    }
    let mut wrong: Vec<String> = Vec::new();
    for (file, line) in &wide {
        if !WIDE_COMMENTS.iter().any(|known| file.starts_with(known)) {
            wrong.push(format!("{file}:{line} is wider than {COMMENT_COLUMNS_MAX} columns"));
        }
    }
    for known in WIDE_COMMENTS {
        if !wide.iter().any(|(file, _)| file.starts_with(known)) {
            wrong.push(format!("{known} has no wide comment any more: strike it from the list"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_circle_of_two_is_found_and_named() {
    let source = invented(&[
        ("lib.rs", "mod a;\nmod b;\npub use a::A;"),
        ("a.rs", "//! A.\n\nuse crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\nfn of() { assert!(it.x, 0..crate::a::A::is(), of crate); }"),
    ]);
    assert_eq!(wrong_circles("it", &source, &[]).len(), 1);
    assert_eq!(source.circle(0..3), "a.rs:3 -> b.rs:2 -> a.rs");
    assert!(wrong_circles("it", &source, &[("it", &["a.rs", "b.rs"])]).is_empty());
    assert_eq!(wrong_circles("it", &source, &[("other", &["a.rs", "b.rs"])]).len(), 1);
}

#[test]
fn a_circle_of_three_is_found_and_a_known_one_that_is_gone_too() {
    let source = invented(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
        ("a.rs", "use crate::{b::B as Other, d};\nfn a(_: Other) { d::d() }"),
        ("b.rs", "pub struct B;\nfn b() { super::c::c() }"),
        ("c.rs", "use super::a;\npub fn c() { a::a() }"),
        ("d.rs", "pub fn d() {}"),
    ]);
    assert_eq!(source.circle(0..5), "a.rs:1 -> b.rs:2 -> c.rs:1 -> a.rs");
    let known = [("it", &["a.rs", "b.rs", "c.rs", "d.rs"][..])];
    let wrong = wrong_circles("it", &source, &known);
    assert_eq!(wrong, ["it: d.rs is in no circle any more: strike it from the list"]);
}

#[test]
fn a_circle_through_the_parent_is_found() {
    let child = ("a/child.rs", "use super::{Whole, super::b};\npub struct Part;");
    let uses = ("a.rs", "mod child;\n\npub use child::Part;\npub struct Whole(Part);");
    let source = invented(&[("lib.rs", "mod a;\nmod b;"), uses, child, ("b.rs", "")]);
    assert_eq!(source.circle(0..4), "a.rs:4 -> a/child.rs:1 -> a.rs");
    // The same by way of another file, which knows the child only by the name that the parent hands
    // on.
    let uses = ("a.rs", "mod child;\npub use child::Part;\npub struct Whole(crate::b::Other);");
    let other = ("b.rs", "use crate::a::Part;\npub struct Other(Part);");
    let source = invented(&[("lib.rs", "mod a;\nmod b;"), uses, child, other]);
    assert_eq!(source.circle([0].into_iter()), "");
    assert_eq!(source.knots().len(), 1);
    assert_eq!(source.circle(1..2), "a.rs:3 -> b.rs:1 -> a/child.rs:1 -> a.rs");
}

#[test]
fn a_name_with_two_meanings_leads_to_both() {
    let source = invented(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use {a as arch, b as arch};"),
        ("a.rs", "use crate::c::C;"),
        ("b.rs", ""),
        ("c.rs", "pub struct C;\nfn c() { crate::arch::off() }"),
    ]);
    assert_eq!(source.circle(0..4), "a.rs:1 -> c.rs:2 -> a.rs");
}

#[test]
fn where_there_is_no_circle_none_is_found() {
    let source = invented(&[
        ("lib.rs", "mod a;\nmod b;\npub use a::{A, child::Part};\n#[cfg(test)]\nmod tests;"),
        (
            "a.rs",
            "pub mod child;\npub use child::*;\npub struct A;\nfn f() { let child = 1; g(child) }",
        ),
        ("a/child.rs", "use super::A;\nuse std::fmt::Debug;\npub struct Part(A);"),
        (
            "b.rs",
            "use crate::{A, Part};\nmod inner { use super::*; }\n\
             #[cfg(test)]\nmod tests { use crate::c::C; }",
        ),
    ]);
    assert_eq!(wrong_circles("it", &source, &[]), [""; 0]);
    // b imports a and its child; the child imports a; nobody imports what only hands on.
    assert_eq!(source.imports.len(), 3);
}

#[test]
fn a_long_function_is_found() {
    let body = "    call();\n".repeat(FUNCTION_LINES_MAX - 2);
    let text = format!("impl A {{\n/// Not counted.\nfn page() {{\n{body}}}\n}}\n");
    assert_eq!(Lengths::of(&text).expect("source"), []);
    let text = format!("mod a {{\n#[inline]\nfn long() {{\n{body}\n}}\n}}\n");
    let long = Long { name: "long".to_owned(), lines: FUNCTION_LINES_MAX + 1 };
    assert_eq!(Lengths::of(&text).expect("source"), [long]);
}
