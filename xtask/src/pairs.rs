//! `cargo xtask pairs`: the agent's own words go in, which two letters follow each other most often
//! comes out, in core/src/text/pairs.rs: the table by which they are packed when the agent is
//! compiled (docs/decisions.md, "Texts").

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use xtask::{ElseSay, Result, paths};

const USAGE: &str = "usage: cargo xtask pairs [--check]
  (nothing)    chooses the pairs of letters for the texts as they are, and rewrites core/src/text/pairs.rs
  --check      fails when another choice would pack them clearly better";

const TABLE: &str = "core/src/text/pairs.rs";
/// Whose texts count: what is in the Linux agent's file.
const SOURCES: [&str; 2] = ["core/src", "platform-linux/src"];
/// The macros that pack literals, or give them to one that does.
const MACROS: [&str; 4] = ["errnos", "phrase", "phrases", "text"];

/// The first byte that stands for a pair. From here on all do, those below a blank last.
const FIRST: u8 = 0x7F;
/// How many there are; one, the zero, ends a text and stands for nothing.
const CODES: usize = 161;
/// How many bytes wait at most while one is unpacked (core/src/text.rs).
const ROOM: usize = 8;
/// A table that is so many bytes worse than the best is as good: not each change of a text need
/// change it.
const WORSE_BYTES_MAX: usize = 64;

/// A letter below 256, or the pair of this number and 256.
type Symbol = usize;

/// What the texts become, and by which pairs.
struct Choice {
    pairs: Vec<(Symbol, Symbol)>,
    bytes: usize,
}

pub fn run(words: &[String]) -> Result<()> {
    let texts = texts()?;
    let best = choose(&texts);
    match words {
        [] => {
            println!("{} texts: {} bytes, packed {}", texts.len(), sum(&texts), best.bytes);
            paths::write(&paths::root().join(TABLE), table(&best.pairs))
        }
        [word] if word == "--check" => {
            let now = packed_by_table(&texts)?;
            if now <= best.bytes + WORSE_BYTES_MAX {
                return Ok(());
            }
            Err(format!(
                "{TABLE} packs in {now} bytes what takes {}: cargo xtask pairs",
                best.bytes
            ))
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn sum(texts: &[Vec<Symbol>]) -> usize {
    texts.iter().map(Vec::len).sum()
}

/// Every text of the agent, once.
fn texts() -> Result<Vec<Vec<Symbol>>> {
    let mut found = Vec::new();
    for folder in SOURCES {
        let files = paths::files(&paths::root().join(folder))?;
        for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
            let tokens = paths::text(path)?.parse::<TokenStream>();
            macros(tokens.else_say_of("cannot read the tokens of", path)?, &mut found);
        }
    }
    let mut texts: Vec<Vec<Symbol>> = Vec::new();
    for text in found {
        // A newline is packed as another letter, which no text has.
        let text = text.replace('\n', "`").bytes().map(Symbol::from).collect();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    Ok(texts)
}

/// Looks for the macros that pack.
fn macros(tokens: TokenStream, texts: &mut Vec<String>) {
    let mut before = [None, None];
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            match &before {
                [Some(TokenTree::Ident(name)), Some(TokenTree::Punct(mark))]
                    if mark.as_char() == '!' && MACROS.iter().any(|known| name == known) =>
                {
                    literals(group.stream(), texts);
                }
                _ => macros(group.stream(), texts),
            }
        }
        let [_, last] = before;
        before = [last, Some(token)];
    }
}

/// Takes every text among these tokens.
fn literals(tokens: TokenStream, texts: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => literals(group.stream(), texts),
            TokenTree::Literal(literal) => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                    texts.push(text.value());
                }
            }
            _ => {}
        }
    }
}

/// Makes a pair of the two symbols that follow each other most often, then of what that has left,
/// and so on.
fn choose(texts: &[Vec<Symbol>]) -> Choice {
    let mut texts = texts.to_vec();
    let mut pairs: Vec<(Symbol, Symbol)> = Vec::new();
    let mut rooms: Vec<usize> = Vec::new();
    while pairs.len() < CODES - 1 {
        let room = |symbol: Symbol| symbol.checked_sub(256).map_or(1, |pair| rooms[pair]);
        let room_of = |&(first, second): &(Symbol, Symbol)| room(second).max(room(first) + 1);
        let counts = count(&texts).into_iter().filter(|(pair, _)| room_of(pair) <= ROOM);
        let Some((pair, 2..)) = counts.max_by_key(|&(_, count)| count) else { break };
        rooms.push(room_of(&pair));
        replace(&mut texts, pair, pairs.len() + 256);
        pairs.push(pair);
    }
    Choice { bytes: sum(&texts), pairs }
}

/// How often each pair of symbols could be replaced: in a row of three that are the same once.
fn count(texts: &[Vec<Symbol>]) -> BTreeMap<(Symbol, Symbol), usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        let mut last = None;
        for two in text.windows(2) {
            let pair = (two[0], two[1]);
            if last.replace(pair) == Some(pair) {
                last = None;
            } else {
                *counts.entry(pair).or_insert(0) += 1;
            }
        }
    }
    counts
}

fn replace(texts: &mut [Vec<Symbol>], (first, second): (Symbol, Symbol), by: Symbol) {
    for text in texts {
        let mut at = 0;
        while at + 1 < text.len() {
            if (text[at], text[at + 1]) == (first, second) {
                text.splice(at..at + 2, [by]);
            }
            at += 1;
        }
    }
}

/// How long the texts become by the table as it stands.
fn packed_by_table(texts: &[Vec<Symbol>]) -> Result<usize> {
    let source = paths::text(&paths::root().join(TABLE))?;
    let numbers = source.split("0x").skip(1).filter_map(|rest| rest.get(..4));
    let pairs = numbers.filter_map(|digits| u16::from_str_radix(digits, 16).ok());
    let mut texts = texts.to_vec();
    let symbol = |byte: u8| -> Symbol {
        let pair = usize::from(byte.wrapping_sub(FIRST));
        if pair < CODES { pair + 256 } else { byte.into() }
    };
    for (number, pair) in pairs.enumerate() {
        let [first, second] = pair.to_le_bytes();
        replace(&mut texts, (symbol(first), symbol(second)), number + 256);
    }
    Ok(sum(&texts))
}

/// The source of the table.
fn table(pairs: &[(Symbol, Symbol)]) -> String {
    let zero = usize::from(FIRST.wrapping_neg());
    let code = |number: usize| FIRST.wrapping_add((number + usize::from(number >= zero)) as u8);
    let byte = |symbol: Symbol| symbol.checked_sub(256).map_or(symbol as u8, code);
    let mut rows: Vec<u16> = pairs
        .iter()
        .map(|&(first, second)| u16::from_le_bytes([byte(first), byte(second)]))
        .collect();
    if rows.len() > zero {
        rows.insert(zero, 0);
    }
    let lines: Vec<String> = rows
        .chunks(12)
        .map(|rows| rows.iter().map(|row| format!(" 0x{row:04X},")).collect::<String>())
        .collect();
    format!(
        "//! Which bytes of a packed text stand for which two: `cargo xtask pairs` writes this file.

/// The byte that stands for the first of [`PAIRS`]; the next ones follow, and after the highest
/// byte the lowest.
pub const PAIR_FIRST: u8 = 0x{FIRST:02X};

/// What each of them stands for: the first byte in the lower half. A zero ends a text, and stands
/// for nothing.
#[rustfmt::skip]
pub static PAIRS: [u16; {}] = [
   {}
];
",
        rows.len(),
        lines.join("\n   ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_good_as_the_one_that_the_command_writes() {
        assert_eq!(run(&["--check".to_owned()]), Ok(()));
    }

    #[test]
    fn what_is_most_frequent_is_paired_first() {
        let text = |text: &str| text.bytes().map(Symbol::from).collect::<Vec<_>>();
        let chosen = choose(&[text("the then"), text("other")]);
        let (t, h, e) = (b't'.into(), b'h'.into(), b'e'.into());
        assert_eq!(chosen.pairs, [(t, h), (256, e)]);
        assert_eq!(chosen.bytes, 7);
        assert_eq!(count(&[text("aaaa")])[&(b'a'.into(), b'a'.into())], 2);
        assert!(table(&chosen.pairs).contains(" 0x6874, 0x657F,\n"));
    }

    #[test]
    fn the_texts_are_found() {
        let mut found = Vec::new();
        let code = "f(text!(\"a\"), phrases![\"b\", 3 => \"c\\n\"], \"d\", other!(phrase!(concat!(\"e\"))))";
        macros(code.parse().expect("tokens"), &mut found);
        assert_eq!(found, ["a", "b", "c\n", "e"]);
        assert!(texts().is_ok_and(|texts| texts.len() > 200));
    }
}
