//! A crate: the modules that its root declares, each with its file, and the names that each defines or re-exports.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, File, Item, ItemMod, ItemUse, Meta,
    visit::{self, Visit},
};

use crate::{
    graph::{Arrow, Imports, Unread},
    modules::{Krate, Module},
    names::{Leaf, leaves},
    references,
    test_only::only_for_tests,
};

/// Reads the crate whose root is `root` (`src/lib.rs` or `src/main.rs`).
///
/// # Errors
/// A file cannot be read or is not Rust.
pub fn read(root: &Path) -> Result<Imports, Unread> {
    let base = root.parent().unwrap_or_else(|| Path::new("."));
    let mut reader = Reader {
        base,
        files: Vec::new(),
        sources: Vec::new(),
        krate: Krate::default(),
    };
    reader.file(root, base, None)?;
    let mut arrows = BTreeMap::<(usize, usize), Vec<(usize, String)>>::new();
    for (module, items) in &reader.sources {
        references::of(&reader.krate, *module, items, &mut |to, line, name| {
            let from = reader
                .krate
                .modules
                .get(*module)
                .map_or(0, |module| module.file);
            if from != to {
                arrows.entry((from, to)).or_default().push((line, name));
            }
        });
    }
    let arrows = arrows.into_iter().map(|((from, to), mut names)| {
        names.sort();
        names.dedup_by(|one, other| one.1 == other.1);
        Arrow { from, to, names }
    });
    Ok(Imports {
        arrows: arrows.collect(),
        files: reader.files,
    })
}

struct Reader<'a> {
    base: &'a Path,
    files: Vec<PathBuf>,
    sources: Vec<(usize, Vec<Item>)>,
    krate: Krate,
}

impl Reader<'_> {
    /// Reads a file and what it declares; `below` is the directory of its modules. Returns the module's number.
    fn file(&mut self, path: &Path, below: &Path, parent: Option<usize>) -> Result<usize, Unread> {
        let unread = |why: String| Unread {
            file: path.to_owned(),
            why,
        };
        let text = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
        let File { items, .. } =
            syn::parse_file(&text).map_err(|error| unread(error.to_string()))?;
        let file = self.files.len();
        self.files
            .push(path.strip_prefix(self.base).unwrap_or(path).to_owned());
        self.module(items, file, below, parent)
    }

    fn module(
        &mut self,
        items: Vec<Item>,
        file: usize,
        below: &Path,
        parent: Option<usize>,
    ) -> Result<usize, Unread> {
        let number = self.krate.modules.len();
        self.krate.modules.push(Module {
            file,
            parent,
            ..Module::default()
        });
        let mut kept = Vec::new();
        for item in items {
            if attributes(&item).iter().any(only_for_tests) {
                continue;
            }
            match item {
                Item::Mod(ItemMod {
                    attrs,
                    ident,
                    content,
                    ..
                }) => {
                    let name = plain(&ident);
                    let inside = below.join(&name);
                    let child = match content {
                        Some((_, items)) => self.module(items, file, &inside, Some(number))?,
                        None => {
                            let (path, inside) = place(below, &name, &attrs);
                            self.file(&path, &inside, Some(number))?
                        }
                    };
                    if let Some(module) = self.krate.modules.get_mut(number) {
                        module.children.insert(name, child);
                    }
                }
                other => {
                    self.define(number, file, &other);
                    kept.push(other);
                }
            }
        }
        self.sources.push((number, kept));
        Ok(number)
    }

    /// Notes the names that an item defines or imports.
    fn define(&mut self, number: usize, file: usize, item: &Item) {
        if let Item::Macro(item) = item {
            self.krate
                .macros
                .extend(item.ident.iter().map(|ident| (plain(ident), file)));
        }
        let Some(module) = self.krate.modules.get_mut(number) else {
            return;
        };
        module.defines.extend(defined(item));
        BroughtIn(module).visit_item(item);
    }
}

/// The names that a `use` brings into a module or into one of its functions; for a question about files both are the same.
struct BroughtIn<'a>(&'a mut Module);

impl<'ast> Visit<'ast> for BroughtIn<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for Leaf { path, name, .. } in leaves(&item.tree) {
            match name {
                Some(name) => drop(self.0.uses.insert(name, path)),
                None => self.0.globs.push(path),
            }
        }
        visit::visit_item_use(self, item);
    }
}

/// Where the file of `mod name;` is, and where the modules below it are.
fn place(below: &Path, name: &str, attrs: &[Attribute]) -> (PathBuf, PathBuf) {
    let path_attribute = attrs.iter().find_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    if let Some(path_attribute) = path_attribute {
        // Relative to the directory of the file that declares it.
        let path = below.join(&path_attribute);
        let path = if path.exists() {
            path
        } else {
            below.parent().unwrap_or(below).join(&path_attribute)
        };
        let inside = path.parent().unwrap_or(below).to_owned();
        return (path, inside);
    }
    let flat = below.join(format!("{name}.rs"));
    let path = if flat.exists() {
        flat
    } else {
        below.join(name).join("mod.rs")
    };
    (path, below.join(name))
}

fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}

fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(plain(ident))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
