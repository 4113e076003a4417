//! The names that a `use` imports, one by one, and where a path leads.

use syn::UseTree;

use crate::modules::{Krate, Module};

/// One name that a `use` imports.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// The path as it is written, without a leading `::`.
    pub(crate) path: Vec<String>,
    /// The local name; `None` for every name below the path (`*`).
    pub(crate) name: Option<String>,
    /// The line of its last word.
    pub(crate) line: usize,
}

/// The leaves of a tree.
pub(crate) fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(tree, &mut Vec::new(), &mut found);
    found
}

fn walk(tree: &UseTree, above: &mut Vec<String>, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            walk(&path.tree, above, found);
            above.pop();
        }
        UseTree::Name(name) => found.push(leaf(above, &name.ident, &name.ident)),
        UseTree::Rename(rename) => found.push(leaf(above, &rename.ident, &rename.rename)),
        UseTree::Glob(star) => found.push(Leaf {
            path: above.clone(),
            name: None,
            line: star.star_token.spans[0].start().line,
        }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, above, found)),
    }
}

/// `use a::{self}` brings in `a` itself.
fn leaf(above: &[String], ident: &syn::Ident, called: &syn::Ident) -> Leaf {
    let mut path = above.to_vec();
    if ident != "self" || above.is_empty() {
        path.push(ident.to_string());
    }
    let name = if called == "self" {
        path.last().cloned()
    } else {
        Some(called.to_string())
    };
    Leaf {
        path,
        name,
        line: ident.span().start().line,
    }
}

/// The number of re-exports followed before a path counts as leading nowhere. Chains are two or three long; a circle of them never ends.
const STEPS: usize = 32;

impl Krate {
    /// The file that a path written in `module` leads to: the one that defines its last known word. `None` for a path out of the crate.
    pub(crate) fn file_of(&self, module: usize, path: &[String]) -> Option<usize> {
        self.follow(module, path, STEPS)
    }

    fn follow(&self, module: usize, path: &[String], steps: usize) -> Option<usize> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let here = self.modules.get(module)?;
        match first.as_str() {
            "crate" | "$crate" => self.below(0, rest, steps),
            "self" => self.below(module, rest, steps),
            "super" => self.below(here.parent?, rest, steps),
            name => match self.named(here, name) {
                Some(Named::Module(child)) => self.below(child, rest, steps),
                Some(Named::Used(target)) => {
                    let path: Vec<String> = target.iter().chain(rest).cloned().collect();
                    // A name of another crate leads out of this one, even where a module here has the same name.
                    (target.first() != Some(first) || target.len() > 1)
                        .then(|| self.follow(module, &path, steps))?
                }
                // A bare name of the same file, of a glob, or of the prelude.
                Some(Named::Defined) => Some(here.file),
                None => here.globs.iter().find_map(|glob| {
                    let target: Vec<String> =
                        glob.iter().cloned().chain(path.iter().cloned()).collect();
                    self.follow(module, &target, steps)
                }),
            },
        }
    }

    /// The rest of a path, inside a module.
    fn below(&self, module: usize, path: &[String], steps: usize) -> Option<usize> {
        let here = self.modules.get(module)?;
        match path.split_first() {
            None => Some(here.file),
            Some((word, rest)) if word == "super" => self.below(here.parent?, rest, steps),
            Some((word, rest)) if word == "self" => self.below(module, rest, steps),
            Some((word, rest)) => match self.named(here, word) {
                Some(Named::Module(child)) => self.below(child, rest, steps),
                Some(Named::Defined) => Some(here.file),
                Some(Named::Used(target)) => {
                    let path: Vec<String> = target.iter().chain(rest).cloned().collect();
                    // A re-export from another crate counts for the module that re-exports it.
                    self.follow(module, &path, steps).or(Some(here.file))
                }
                None => here
                    .globs
                    .iter()
                    .find_map(|glob| {
                        let target: Vec<String> = glob.iter().chain(path).cloned().collect();
                        self.follow(module, &target, steps)
                    })
                    .or(Some(here.file)),
            },
        }
    }

    fn named<'a>(&self, module: &'a Module, name: &str) -> Option<Named<'a>> {
        if module.defines.contains(name) {
            return Some(Named::Defined);
        }
        module
            .children
            .get(name)
            .map(|child| Named::Module(*child))
            .or_else(|| module.uses.get(name).map(|target| Named::Used(target)))
    }
}

enum Named<'a> {
    Module(usize),
    Used(&'a [String]),
    Defined,
}
