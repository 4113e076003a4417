//! The circles of a graph: strongly connected components of more than one file, by Tarjan's algorithm.

use crate::graph::{Arrow, Imports};

/// Every circle, the largest first, as the arrows that run inside it.
#[must_use]
pub fn circles(imports: &Imports) -> Vec<Vec<Arrow>> {
    let mut search = Search {
        arrows: &imports.arrows,
        found: vec![None; imports.files.len()],
        low: vec![0; imports.files.len()],
        stack: Vec::new(),
        component: vec![None; imports.files.len()],
        next: 0,
        components: 0,
    };
    for file in 0..imports.files.len() {
        search.visit(file);
    }
    let mut circles: Vec<Vec<Arrow>> = (0..search.components)
        .map(|component| {
            let inside =
                |file: usize| search.component.get(file).copied().flatten() == Some(component);
            imports
                .arrows
                .iter()
                .filter(|arrow| inside(arrow.from) && inside(arrow.to))
                .cloned()
                .collect::<Vec<_>>()
        })
        .filter(|arrows| !arrows.is_empty())
        .collect();
    circles.sort_by_key(|arrows| std::cmp::Reverse(arrows.len()));
    circles
}

struct Search<'a> {
    arrows: &'a [Arrow],
    found: Vec<Option<usize>>,
    low: Vec<usize>,
    stack: Vec<usize>,
    component: Vec<Option<usize>>,
    next: usize,
    components: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "every index is a file of the graph whose length the vectors have"
)]
impl Search<'_> {
    /// Recursion is as deep as a chain of imports is long, which is tens of files.
    fn visit(&mut self, file: usize) {
        if self.found[file].is_some() {
            return;
        }
        self.found[file] = Some(self.next);
        self.low[file] = self.next;
        self.next += 1;
        self.stack.push(file);
        for arrow in self.arrows.iter().filter(|arrow| arrow.from == file) {
            match self.found[arrow.to] {
                None => {
                    self.visit(arrow.to);
                    self.low[file] = self.low[file].min(self.low[arrow.to]);
                }
                Some(when) if self.component[arrow.to].is_none() => {
                    self.low[file] = self.low[file].min(when)
                }
                Some(_) => {}
            }
        }
        if self.found[file] == Some(self.low[file]) {
            while let Some(member) = self.stack.pop() {
                self.component[member] = Some(self.components);
                if member == file {
                    break;
                }
            }
            self.components += 1;
        }
    }
}
