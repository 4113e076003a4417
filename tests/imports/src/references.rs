//! Every path in the items of a module: in a `use`, in code and types, and in the tokens of macros.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemUse, Macro, Meta, Path, Stmt, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::{modules::Krate, names::leaves, test_only::only_for_tests};

/// Calls `found` with the file, the line and the words of each path that leads to a file of the crate.
pub(crate) fn of(
    krate: &Krate,
    module: usize,
    items: &[Item],
    found: &mut dyn FnMut(usize, usize, String),
) {
    let mut reader = Reader {
        krate,
        module,
        found,
    };
    for item in items {
        reader.visit_item(item);
    }
}

struct Reader<'a> {
    krate: &'a Krate,
    module: usize,
    found: &'a mut dyn FnMut(usize, usize, String),
}

impl Reader<'_> {
    fn path(&mut self, words: &[String], line: usize) {
        if let Some(file) = self.krate.file_of(self.module, words) {
            (self.found)(file, line, words.join("::"));
        }
    }

    /// Paths among tokens: words with `::` between them. A single word does not say where it comes from.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut words: Vec<String> = Vec::new();
        let (mut line, mut colons, mut dollar) = (0, 0, false);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.finish(&mut words, line);
                        line = ident.span().start().line;
                    }
                    words.push(if dollar {
                        format!("${ident}")
                    } else {
                        ident.to_string()
                    });
                    (colons, dollar) = (0, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Punct(punct) => {
                    self.finish(&mut words, line);
                    (colons, dollar) = (0, punct.as_char() == '$');
                }
                TokenTree::Group(group) => {
                    if colons == 2 && group.delimiter() == Delimiter::Brace {
                        self.group(&words, &group, line);
                        words.clear();
                    }
                    self.finish(&mut words, line);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Literal(_) => {
                    self.finish(&mut words, line);
                    colons = 0;
                }
            }
        }
        self.finish(&mut words, line);
    }

    /// `a::{b, c::d}`, as it stands in a `use` among tokens.
    fn group(&mut self, above: &[String], group: &Group, line: usize) {
        let Ok(tree) = syn::parse_str::<UseTree>(&format!("{}::{group}", above.join("::"))) else {
            return;
        };
        for leaf in leaves(&tree) {
            self.path(&leaf.path, line);
        }
    }

    fn finish(&mut self, words: &mut Vec<String>, line: usize) {
        if words.len() > 1 {
            self.path(words, line);
        }
        words.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attrs = match item {
            ImplItem::Const(item) => &item.attrs[..],
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !attrs.iter().any(only_for_tests) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attrs = match statement {
            Stmt::Local(local) => &local.attrs[..],
            Stmt::Macro(call) => &call.attrs,
            _ => &[],
        };
        if !attrs.iter().any(only_for_tests) {
            visit::visit_stmt(self, statement);
        }
    }

    /// A visibility (`pub(in …)`) is no import.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    /// serde and others name functions in text: `#[serde(with = "crate::form")]`.
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            for token in list.tokens.clone() {
                let TokenTree::Literal(literal) = token else {
                    continue;
                };
                let text = literal.to_string();
                if let Ok(path) = syn::parse_str::<Path>(text.trim_matches('"')) {
                    let words: Vec<String> = path
                        .segments
                        .iter()
                        .map(|segment| segment.ident.to_string())
                        .collect();
                    self.finish(&mut { words }, literal.span().start().line);
                }
            }
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for leaf in leaves(&item.tree) {
            self.path(&leaf.path, leaf.line);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        // A single word is in scope by a definition or by a `use`, which is counted where it stands.
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let words: Vec<String> = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            let line = path
                .segments
                .first()
                .map_or(0, |segment| segment.ident.span().start().line);
            self.path(&words, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        if let Some(name) = item.path.get_ident()
            && let Some(file) = self.krate.macros.get(&name.to_string())
        {
            (self.found)(*file, name.span().start().line, format!("{name}!"));
        }
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}
