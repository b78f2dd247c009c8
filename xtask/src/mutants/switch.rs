//! All mutants of a file in one text, each behind a switch: the file and its mutants in, a text
//! that does what the file does until one of them is switched on, out.
//!
//! Building the core once instead of 1,400 times is what makes the campaign cheap. The body of a
//! function with mutants begins with `match crate::mutant::chosen()`, which has an arm for each of
//! them: the whole body, changed, and a return. What stands where no code runs (constants, `const
//! fn`) has no switch: the campaign builds those mutants one by one.

use std::fmt::Write as _;
use std::ops::Range;

use super::list::Mutant;
use crate::functions::{Function, Functions};
use xtask::Result;

/// A text with switches, and which mutant each part of it belongs to.
#[derive(Default)]
pub struct Switched {
    pub text: String,
    /// The body with one mutant in it, for each.
    pub variants: Vec<(Range<usize>, u32)>,
}

/// Puts the mutants of a file into it.
pub fn switch(text: &str, mutants: &[&Mutant]) -> Result<Switched> {
    let functions = Functions::of(text)?;
    let is_constant = |mutant: &Mutant| functions.constants.iter().any(|c| holds(c, &mutant.place));
    let mut out = Switched::default();
    let mut at = 0;
    for Function { body, is_const, nameless, .. } in &functions.all {
        // What is inside another function is changed with that.
        if body.start < at {
            continue;
        }
        out.text.push_str(&text[at..body.start]);
        let inside = mutants.iter().filter(|mutant| {
            !is_const && !nameless && holds(body, &mutant.place) && !is_constant(mutant)
        });
        let inside: Vec<&&Mutant> = inside.collect();
        if !inside.is_empty() {
            out.text.push_str("{ match crate::mutant::chosen() {");
            for mutant in &inside {
                let _ = write!(out.text, " {} => return ", mutant.number);
                let begun = out.text.len();
                out.text.push_str(&mutant.apply(text, body.clone()));
                out.variants.push((begun..out.text.len(), mutant.number));
                out.text.push(',');
            }
            out.text.push_str(" _ => {} }");
        }
        out.text.push_str(&text[body.clone()]);
        if !inside.is_empty() {
            out.text.push('}');
        }
        at = body.end;
    }
    out.text.push_str(&text[at..]);
    Ok(out)
}

/// Whether one place is inside another.
pub fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::list::{BODY, FIELD};

    fn switched(text: &str, changes: &[(&str, &str, &str)]) -> String {
        let mutant = |(at, (genre, old, new)): (usize, &(&str, &str, &str))| {
            let start = text.find(old).expect("the place");
            Mutant {
                number: at as u32 + 1,
                file: "file.rs".into(),
                line: 1,
                source: String::new(),
                what: String::new(),
                genre: (*genre).into(),
                place: start..start + old.len(),
                replacement: (*new).into(),
            }
        };
        let all: Vec<Mutant> = changes.iter().enumerate().map(mutant).collect();
        let all: Vec<&Mutant> = all.iter().collect();
        let switched = switch(text, &all).expect("a text");
        for (place, number) in switched.variants {
            assert!(switched.text[..place.start].ends_with(&format!(" {number} => return ")));
        }
        switched.text.replace("crate::mutant::", "")
    }

    #[test]
    fn each_kind_of_mutant_gets_its_switch() {
        let text = "fn f(a: u8) -> u8 { g(H { a: 1 + 2, ..b }) } trait T { fn t() { !a } }";
        let changes = [
            (BODY, "g(H { a: 1 + 2, ..b })", "0"),
            ("", "+", "-"),
            (FIELD, "a: 1 + 2", ""),
            ("", "!", ""),
        ];
        assert_eq!(
            switched(text, &changes),
            "fn f(a: u8) -> u8 { match chosen() { 1 => return {  0  }, \
             2 => return { g(H { a: 1  -  2, ..b }) }, 3 => return { g(H {    ..b }) }, _ => {} }\
             { g(H { a: 1 + 2, ..b }) }} \
             trait T { fn t() { match chosen() { 4 => return {   a }, _ => {} }{ !a }} }"
        );
    }

    #[test]
    fn what_is_computed_while_building_gets_none() {
        let text = "const A: u8 = 1 + 2; const fn f() -> u8 { A + 3 } \
                    fn g() -> impl T { 1 + 4 } fn h() { const { 1 + 5 } [0; 1 + 6]; let a: [u8; 1 + 7]; }";
        let changes = ["+ 2", "+ 3", "+ 4", "+ 5", "+ 7"].map(|old| ("", old, "-"));
        assert_eq!(switched(text, &changes), text);
    }

    #[test]
    fn a_function_inside_another_is_changed_with_it() {
        let text = "fn f() { fn g() { 1 + 2 } g() }";
        let shown = switched(text, &[("", "+", "-")]);
        assert_eq!(
            shown,
            "fn f() { match chosen() { 1 => return { fn g() { 1  -  2 } g() }, _ => {} }\
             { fn g() { 1 + 2 } g() }}"
        );
    }
}
