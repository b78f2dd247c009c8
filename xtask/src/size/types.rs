//! What pointers to functions point at: the build's code in LLVM's language, from which the machine
//! code is made, goes in; of which type each function is, and of which types it calls pointers,
//! come out.
//!
//! A call through a pointer of another type than the function's has no meaning in LLVM or in Rust,
//! so a pointer leads only to functions of its type. LLVM's types are coarser than Rust's: all
//! pointers are one type. A value that is returned by its address says how large it is.

use std::collections::{BTreeMap, BTreeSet};

/// A function's type, as text: what it returns, and its parameters. `?` is one that was not
/// understood.
pub type Type = String;

/// One function of the build.
struct Function {
    own: Type,
    called: BTreeSet<Type>,
}

/// The functions by their names in the file.
#[derive(Default)]
pub struct Types {
    functions: BTreeMap<String, Function>,
}

impl Types {
    pub fn parse(text: &str) -> Types {
        let mut types = Types::default();
        let mut current = None;
        for line in text.lines() {
            if let Some(signature) = line.strip_prefix("define ") {
                let Some((own, name)) = signature_of(signature) else { continue };
                current = Some(name.trim_matches(['@', '"']).to_owned());
                let function = Function { own, called: BTreeSet::new() };
                types.functions.extend(current.clone().map(|name| (name, function)));
            } else if line == "}" {
                current = None;
            } else if let Some(name) = &current
                && !line.starts_with(';')
                && let Some(called) = called(line)
                && let Some(function) = types.functions.get_mut(name)
            {
                function.called.insert(called);
            }
        }
        types
    }

    /// The types of a function with these names; none when it may be of any.
    pub fn own<'n>(&self, names: impl Iterator<Item = &'n String>) -> Option<BTreeSet<Type>> {
        self.all(names, |function| BTreeSet::from([function.own.clone()]))
    }

    /// The types of the pointers that it calls; none when they may be any.
    pub fn called<'n>(&self, names: impl Iterator<Item = &'n String>) -> Option<BTreeSet<Type>> {
        self.all(names, |function| function.called.clone())
    }

    fn all<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
        which: impl Fn(&Function) -> BTreeSet<Type>,
    ) -> Option<BTreeSet<Type>> {
        let mut all = BTreeSet::new();
        for name in names {
            all.extend(which(self.functions.get(name)?));
        }
        (!all.is_empty() && !all.contains("?")).then_some(all)
    }
}

/// The type of the pointer that a line calls, when it does.
fn called(line: &str) -> Option<Type> {
    let words = [" call ", " invoke "];
    let (_, call) = words.iter().find_map(|word| line.split_once(word))?;
    let callee = call.find(['@', '%']).map(|at| &call[at..]);
    match callee {
        Some(callee) if callee.starts_with('@') && !call.contains(" asm ") => None,
        // What assembly calls is not said.
        _ if call.contains(" asm ") => {
            let mut words = call.split(|letter: char| !letter.is_ascii_alphanumeric());
            words.any(|word| ["call", "callq", "jmp", "jmpq"].contains(&word)).then(|| "?".into())
        }
        _ => Some(signature_of(call).map_or("?".to_owned(), |(signature, _)| signature)),
    }
}

/// The type and the name of what is defined or called: `attributes TYPE NAME(PARAMETERS) ...`.
fn signature_of(text: &str) -> Option<(Type, &str)> {
    let at = text.find(['@', '%'])?;
    let (before, rest) = text.split_at(at);
    let open = rest.find('(')?;
    let (name, rest) = rest.split_at(open);
    let close = balanced(rest)?;
    let parameters = split(&rest[1..close - 1]).into_iter().map(parameter);
    let parameters = parameters.collect::<Option<Vec<String>>>()?;
    // What is returned stands last before the name.
    let returned = split_at(before.trim(), ' ').pop()?;
    Some((format!("{returned} ({})", parameters.join(", ")), name))
}

/// A parameter without its name and promises, but with what decides how it is passed.
fn parameter(text: &str) -> Option<String> {
    let mut words = split_at(text.trim(), ' ').into_iter();
    let plain = words.next()?;
    let passed = words.find(|word| ["sret(", "byval("].iter().any(|kind| word.starts_with(kind)));
    Some(passed.unwrap_or(plain).to_owned())
}

fn split(text: &str) -> Vec<&str> {
    split_at(text, ',')
}

/// The parts between marks that stand in no brackets.
fn split_at(text: &str, mark: char) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        depth += depth_of(letter);
        if letter == mark && depth == 0 {
            parts.push(&text[from..at]);
            from = at + 1;
        }
    }
    parts.push(&text[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Where the bracket that a text begins with is closed.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, letter)| {
        depth += depth_of(letter);
        (depth == 0).then_some(at + 1)
    })
}

fn depth_of(letter: char) -> i32 {
    match letter {
        '(' | '[' | '{' | '<' => 1,
        ')' | ']' | '}' | '>' => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
define internal fastcc noundef range(i64 0, 4) { i64, ptr } @\"run$er\"(ptr noundef %a, i64 %0) #0 {
; call core::cmp::eq
  %1 = load ptr, ptr %a, align 8
  call void %1(ptr noalias sret([24 x i8]) align 8 %a, ptr %a) #3, !noalias !7
  %2 = tail call noundef zeroext i1 %1(ptr nonnull align 8 dereferenceable(8) %a, <2 x i8> %b)
  call void @direct(ptr %1)
  %3 = tail call i64 asm sideeffect \"syscall\", \"={rax},{rax}\"(i64 %0) #9
}
define void @target(ptr dead_on_unwind noalias sret([24 x i8]) align 8 %_0, ptr %call) {
  ret void
}
define void @odd() {
  call void inttoptr (i64 8 to ptr)()
}
define void @assembly(ptr %a) {
  call void %a(ptr %a)
  call void asm sideeffect \"call *%rax\", \"\"()
}
";

    fn names(name: &str) -> Vec<String> {
        name.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_call_through_a_pointer_has_the_type_of_its_targets() {
        let types = Types::parse(TEXT);
        let own = |name| types.own(names(name).iter());
        let called = |name| types.called(names(name).iter());
        let run = "void (sret([24 x i8]), ptr)".to_owned();
        assert_eq!(own("target"), Some([run.clone()].into()));
        assert_eq!(own("run$er"), Some(["{ i64, ptr } (ptr, i64)".to_owned()].into()));
        assert_eq!(called("run$er"), Some([run, "i1 (ptr, <2 x i8>)".to_owned()].into()));
    }

    #[test]
    fn what_is_not_known_may_be_of_any_type() {
        let types = Types::parse(TEXT);
        assert_eq!(types.own(names("memcpy").iter()), None);
        assert_eq!(types.own(names("target memcpy").iter()), None);
        assert_eq!(types.own(std::iter::empty()), None);
        assert_eq!(types.called(names("odd").iter()), None);
        assert_eq!(types.called(names("assembly").iter()), None);
        // The machine code has a call that this text does not show.
        assert_eq!(types.called(names("target").iter()), None);
        assert_eq!(types.own(names("target odd").iter()).map(|all| all.len()), Some(2));
    }
}
