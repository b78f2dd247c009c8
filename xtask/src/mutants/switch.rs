//! All mutants of a file in one text, each behind a switch: the file and its mutants in, a text that does
//! what the file does until one of them is switched on, and what could not be put into it, out.
//!
//! Building the core once instead of 1,400 times is what makes the campaign cheap. `a < b` becomes
//! `(if is(7) { a <= b } else if is(8) { a > b } else { a < b })`; a function begins with
//! `if is(9) { return VALUE; }`; an arm gets the guard `!is(10)`. Only the last branch holds further
//! switches, so the text grows with its depth and not with its power. What stands where no code runs
//! (constants, `const fn`) has no switch: the campaign builds those mutants one by one.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Signature};

use super::list::{Genre, Mutant};
use xtask::Result;

/// A text with switches, and which mutant each part of it belongs to.
pub struct Switched {
    /// The text.
    pub text: String,
    /// The mutants in it.
    pub numbers: HashSet<u32>,
    /// The text of one mutant each.
    pub variants: Vec<(Range<usize>, u32)>,
    /// The text of one place each, with all its mutants.
    pub sites: Vec<(Range<usize>, Vec<u32>)>,
}

/// How the switches of a place are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// At the beginning of a function's body.
    Body,
    /// Around an expression.
    Expression,
    /// As the guard of an arm that has none; an empty place behind the pattern.
    NewGuard,
    /// Around the guard of an arm.
    Guard,
}

/// A place of the file where mutants can be.
struct Site {
    place: Range<usize>,
    shape: Shape,
    /// Where the mutants of this site begin, if not anywhere in it: the operator, the arm.
    key: Option<usize>,
}

/// Puts the mutants of a file into it, without those in `left_out`.
pub fn switch(text: &str, mutants: &[&Mutant], left_out: &HashSet<u32>) -> Result<Switched> {
    let file = syn::parse_file(text).map_err(|error| format!("cannot parse it: {error}"))?;
    let mut finder = Finder { sites: Vec::new() };
    finder.visit_file(&file);
    let mut places: Vec<Place<'_>> =
        finder.sites.into_iter().map(|site| Place { site, mutants: Vec::new() }).collect();
    // Outer ones first; of two with the same text the guard is the outer one.
    places.sort_by_key(|Place { site, .. }| {
        (site.place.start, usize::MAX - site.place.end, site.shape != Shape::Guard)
    });
    for mutant in mutants.iter().filter(|mutant| !left_out.contains(&mutant.number)) {
        // The innermost, which comes last.
        if let Some(place) = places.iter_mut().rev().find(|place| place.site.takes(mutant)) {
            place.mutants.push(mutant);
        }
    }
    places.retain(|place| !place.mutants.is_empty());
    let numbers = places.iter().flat_map(|place| place.mutants.iter().map(|m| m.number)).collect();
    let empty = Switched { text: String::new(), numbers, variants: Vec::new(), sites: Vec::new() };
    let mut writer = Writer { text, out: empty };
    writer.part(0..text.len(), &places);
    Ok(writer.out)
}

impl Site {
    fn takes(&self, mutant: &Mutant) -> bool {
        let within = self.place.start <= mutant.place.start && mutant.place.end <= self.place.end;
        match (mutant.genre, self.shape) {
            (Genre::Body, Shape::Body) => within,
            (Genre::Operator, Shape::Expression) => self.key == Some(mutant.place.start),
            (Genre::Field, Shape::Expression) => within && self.key.is_none(),
            (Genre::Guard, Shape::Guard) => self.place == mutant.place,
            (Genre::Arm, Shape::Guard | Shape::NewGuard) => self.key == Some(mutant.place.start),
            _ => false,
        }
    }
}

struct Place<'m> {
    site: Site,
    mutants: Vec<&'m Mutant>,
}

struct Writer<'t> {
    text: &'t str,
    out: Switched,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.out.text.push_str(text);
    }

    /// The text of `part` with the places inside it.
    fn part(&mut self, part: Range<usize>, places: &[Place<'_>]) {
        let mut at = part.start;
        let mut rest = places;
        while let [place, behind @ ..] = rest {
            let inside = behind
                .iter()
                .position(|other| other.site.place.start >= place.site.place.end.max(at + 1))
                .unwrap_or(behind.len());
            // An empty place holds nothing.
            let inside = if place.site.place.is_empty() { 0 } else { inside };
            let text = self.text;
            self.put(&text[at..place.site.place.start]);
            let begun = self.out.text.len();
            self.place(place, &behind[..inside]);
            let numbers = place.mutants.iter().map(|mutant| mutant.number).collect();
            self.out.sites.push((begun..self.out.text.len(), numbers));
            at = place.site.place.end;
            rest = &behind[inside..];
        }
        let text = self.text;
        self.put(&text[at..part.end]);
    }

    fn place(&mut self, place: &Place<'_>, inside: &[Place<'_>]) {
        let Site { place: at, shape, .. } = &place.site;
        match shape {
            Shape::Body => {
                self.put("{");
                for mutant in &place.mutants {
                    self.variant(mutant, "return ", &mutant.replacement, "; }");
                }
                self.part(at.start + 1..at.end, inside);
            }
            Shape::Expression => {
                self.put("(");
                for mutant in &place.mutants {
                    let changed = self.changed(mutant, at);
                    self.variant(mutant, "", &changed, " } else ");
                }
                self.put("{ ");
                self.part(at.clone(), inside);
                self.put(" })");
            }
            Shape::NewGuard => {
                self.put(" if true");
                self.arms(place);
            }
            Shape::Guard => {
                self.put("true");
                self.arms(place);
                self.put(" && (");
                for mutant in place.mutants.iter().filter(|mutant| mutant.genre == Genre::Guard) {
                    self.variant(mutant, "", &mutant.replacement, " } else ");
                }
                self.put("{ ");
                self.part(at.clone(), inside);
                self.put(" })");
            }
        }
    }

    fn arms(&mut self, place: &Place<'_>) {
        for mutant in place.mutants.iter().filter(|mutant| mutant.genre == Genre::Arm) {
            let _ = write!(self.out.text, " && !crate::mutant::is({})", mutant.number);
        }
    }

    fn variant(&mut self, mutant: &Mutant, before: &str, changed: &str, after: &str) {
        let _ = write!(self.out.text, "if crate::mutant::is({}) {{ {before}", mutant.number);
        let begun = self.out.text.len();
        self.put(changed);
        self.out.variants.push((begun..self.out.text.len(), mutant.number));
        self.put(after);
    }

    /// The text at `at` with one mutant in it.
    fn changed(&self, mutant: &Mutant, at: &Range<usize>) -> String {
        let before = &self.text[at.start..mutant.place.start];
        let mut after = &self.text[mutant.place.end..at.end];
        if mutant.genre == Genre::Field {
            after = after.trim_start().strip_prefix(',').unwrap_or(after);
        }
        format!("{before} {} {after}", mutant.replacement)
    }
}

/// Finds the places of a file where a switch can stand.
struct Finder {
    sites: Vec<Site>,
}

impl Finder {
    fn add(&mut self, place: Range<usize>, shape: Shape, key: Option<usize>) {
        self.sites.push(Site { place, shape, key });
    }

    /// The operators of a chain without brackets. Each stands in the text of all of it, because another
    /// operator can bind more, or less.
    fn chain(&mut self, node: &syn::ExprBinary, place: &Range<usize>, lets: bool) {
        if !lets {
            let key = node.op.span().byte_range().start;
            self.add(place.clone(), Shape::Expression, Some(key));
        }
        for side in [&node.left, &node.right] {
            match &**side {
                Expr::Binary(inner) => self.chain(inner, place, lets),
                other => self.visit_expr(other),
            }
        }
    }

    /// Whether code runs in the function other than while building.
    fn function(&mut self, signature: &Signature, block: &Block) -> bool {
        if signature.constness.is_some() {
            return false;
        }
        self.add(block.span().byte_range(), Shape::Body, None);
        true
    }
}

/// Whether an operand of a chain of conditions binds names, so that no parentheses may stand around it.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'a> Visit<'a> for Finder {
    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'a syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'a syn::TraitItemConst) {}
    fn visit_item_static(&mut self, _: &'a syn::ItemStatic) {}
    fn visit_expr_const(&mut self, _: &'a syn::ExprConst) {}
    fn visit_type(&mut self, _: &'a syn::Type) {}
    fn visit_variant(&mut self, _: &'a syn::Variant) {}
    fn visit_pat(&mut self, _: &'a syn::Pat) {}

    fn visit_expr_repeat(&mut self, node: &'a syn::ExprRepeat) {
        self.visit_expr(&node.expr);
    }

    fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
        if self.function(&node.sig, &node.block) {
            visit::visit_block(self, &node.block);
        }
    }

    fn visit_impl_item_fn(&mut self, node: &'a syn::ImplItemFn) {
        if self.function(&node.sig, &node.block) {
            visit::visit_block(self, &node.block);
        }
    }

    fn visit_trait_item_fn(&mut self, node: &'a syn::TraitItemFn) {
        if let Some(block) = &node.default
            && self.function(&node.sig, block)
        {
            visit::visit_block(self, block);
        }
    }

    fn visit_expr_binary(&mut self, node: &'a syn::ExprBinary) {
        let lets = has_let(&node.left) || has_let(&node.right);
        self.chain(node, &node.span().byte_range(), lets);
    }

    fn visit_expr_unary(&mut self, node: &'a syn::ExprUnary) {
        let place = node.span().byte_range();
        self.add(place.clone(), Shape::Expression, Some(place.start));
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'a syn::ExprStruct) {
        self.add(node.span().byte_range(), Shape::Expression, None);
        visit::visit_expr_struct(self, node);
    }

    fn visit_arm(&mut self, node: &'a syn::Arm) {
        let key = Some(node.span().byte_range().start);
        match &node.guard {
            Some((_, guard)) => self.add(guard.span().byte_range(), Shape::Guard, key),
            None => {
                let end = node.pat.span().byte_range().end;
                self.add(end..end, Shape::NewGuard, key);
            }
        }
        visit::visit_arm(self, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(text: &str, number: u32, genre: Genre, old: &str, new: &str) -> Mutant {
        let start = text.find(old).expect("the place");
        Mutant {
            number,
            file: "file.rs".into(),
            line: 1,
            source: String::new(),
            what: String::new(),
            genre,
            place: start..start + old.len(),
            replacement: new.into(),
        }
    }

    #[test]
    fn each_kind_of_mutant_gets_its_switch() {
        let text =
            "fn f(a: u8) -> bool { match a { 1 => !(a < 2), b if b > 3 => true, _ => false } }";
        let all = [
            mutant(
                text,
                1,
                Genre::Body,
                "match a { 1 => !(a < 2), b if b > 3 => true, _ => false }",
                "true",
            ),
            mutant(text, 2, Genre::Operator, "!", ""),
            mutant(text, 3, Genre::Operator, "<", "<="),
            mutant(text, 4, Genre::Guard, "b > 3", "false"),
            mutant(text, 5, Genre::Arm, "b if b > 3 => true,", ""),
            mutant(text, 6, Genre::Arm, "1 => !(a < 2),", ""),
        ];
        let all: Vec<&Mutant> = all.iter().collect();
        let switched = switch(text, &all, &HashSet::new()).expect("a text");
        let shown = switched.text.replace("crate::mutant::", "");
        assert_eq!(
            shown,
            "fn f(a: u8) -> bool {if is(1) { return true; } match a { 1 if true && !is(6) => \
             (if is(2) {   (a < 2) } else { !((if is(3) { a  <=  2 } else { a < 2 })) }), \
             b if true && !is(5) && (if is(4) { false } else { b > 3 }) => true, _ => false } }"
        );
        assert_eq!(switched.numbers.len(), 6);
    }

    #[test]
    fn an_operator_of_a_chain_binds_as_it_would_in_the_text() {
        let text = "fn f() -> bool { a && b && c }";
        let first = mutant(text, 1, Genre::Operator, "&&", "||");
        let mut second = mutant(text, 2, Genre::Operator, "&& c", "||");
        second.place.end = second.place.start + 2;
        let switched = switch(text, &[&first, &second], &HashSet::new()).expect("a text");
        let shown = switched.text.replace("crate::mutant::", "");
        assert!(shown.contains("if is(1) { a  ||  b && c }"), "{shown}");
        assert!(shown.contains("if is(2) { a && b  ||  c }"), "{shown}");
        assert!(shown.contains("else { a && b && c }"), "{shown}");
    }

    #[test]
    fn what_is_computed_while_building_gets_none() {
        let text = "const A: u8 = 1 + 2; const fn f() -> u8 { A + 3 }";
        let all = [
            mutant(text, 1, Genre::Operator, "+ 2", "- 2"),
            mutant(text, 2, Genre::Operator, "+ 3", "- 3"),
        ];
        let all: Vec<&Mutant> = all.iter().collect();
        let switched = switch(text, &all, &HashSet::new()).expect("a text");
        assert_eq!((switched.text.as_str(), switched.numbers.len()), (text, 0));
    }
}
