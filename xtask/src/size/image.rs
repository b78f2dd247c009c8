//! The binary as it lies in its file: an ELF file's bytes go in; sections, functions, static
//! objects, declared frame sizes and the pointers to functions come out.

use std::collections::{BTreeMap, BTreeSet};

use object::elf::{self, PF_W, SHF_ALLOC, SHF_EXECINSTR};
use object::read::elf::ProgramHeader;
use object::{Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationTarget};
use object::{SectionFlags, SymbolKind};

use super::names;

/// A section that is loaded into memory.
#[derive(Clone, PartialEq)]
pub struct Section {
    pub name: String,
    pub address: u64,
    pub bytes: u64,
    /// Lies in memory that the program may change while it runs; the section's own flags say less.
    pub writable: bool,
    pub executable: bool,
    /// Empty when the section takes no room in the file.
    pub contents: Vec<u8>,
}

impl Section {
    fn holds(&self, address: u64) -> bool {
        (self.address..self.address + self.bytes).contains(&address)
    }

    /// Its words of eight bytes, with their addresses; pointers are aligned.
    pub fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        let from = self.address.next_multiple_of(8);
        let contents = self.contents.get((from - self.address) as usize..).unwrap_or_default();
        let words = contents.chunks_exact(8).map(|word| word.try_into().unwrap_or_default());
        (from..).step_by(8).zip(words.map(u64::from_le_bytes))
    }
}

/// A function or a static object.
#[derive(Clone)]
pub struct Symbol {
    pub name: String,
    pub address: u64,
    pub bytes: u64,
}

/// The file, taken apart.
pub struct Image {
    pub file_bytes: u64,
    pub entry: u64,
    pub sections: Vec<Section>,
    /// In the order of their addresses, without overlaps.
    pub functions: Vec<Symbol>,
    pub statics: Vec<Symbol>,
    /// What the linker calls the functions, by their addresses: of one that is several in one, all.
    pub names: BTreeMap<u64, BTreeSet<String>>,
    /// Function address to the frame size that the compiler states, without the return address.
    pub declared_frames: BTreeMap<u64, u64>,
    /// Functions whose address stands in data (tables of function pointers, vtables).
    pub pointed_at: BTreeSet<u64>,
}

impl Image {
    pub fn parse(bytes: &[u8]) -> Result<Image, String> {
        let failed = |error: object::Error| format!("not understood as an ELF file: {error}");
        let file = object::File::parse(bytes).map_err(failed)?;
        if file.architecture() != object::Architecture::X86_64 {
            return Err(format!("{:?} code: only x86-64 is understood", file.architecture()));
        }
        let mut sections = Vec::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if sh_flags.contains(SHF_ALLOC) {
                sections.push(Section {
                    name: section.name().map_err(failed)?.to_owned(),
                    address: section.address(),
                    bytes: section.size(),
                    writable: writable(&file, section.address()),
                    executable: sh_flags.contains(SHF_EXECINSTR),
                    contents: section.data().map_err(failed)?.to_vec(),
                });
            }
        }
        let (functions, statics) = symbols(&file, &sections);
        let texts = file.symbols().filter(|s| s.kind() == SymbolKind::Text && s.is_definition());
        let mut names: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for symbol in texts {
            let name = symbol.name().map_err(failed)?.to_owned();
            names.entry(symbol.address()).or_default().insert(name);
        }
        let declared_frames = match file.section_by_name(".stack_sizes") {
            Some(section) => declared_frames(section.data().map_err(failed)?)?,
            None => BTreeMap::new(),
        };
        let mut image = Image {
            file_bytes: bytes.len() as u64,
            entry: file.entry(),
            sections,
            functions,
            statics,
            names,
            declared_frames,
            pointed_at: BTreeSet::new(),
        };
        image.pointed_at = pointers(&file, &image);
        names::name_closures(&mut image);
        Ok(image)
    }

    pub fn function(&self, address: u64) -> Option<&Symbol> {
        let after = self.functions.partition_point(|function| function.address <= address);
        let function = self.functions.get(after.checked_sub(1)?)?;
        (address < function.address + function.bytes).then_some(function)
    }

    /// The eight bytes at `address`, when they lie in a section with contents and never change.
    pub fn constant(&self, address: u64) -> Option<u64> {
        let section = self.home(address)?;
        let changes = section.writable && !self.is_linkers(address);
        let word = self.bytes(address, 8)?.try_into().ok()?;
        (!changes).then(|| u64::from_le_bytes(word))
    }

    /// What the file holds at `address`.
    pub fn bytes(&self, address: u64, bytes: u64) -> Option<&[u8]> {
        let section = self.home(address)?;
        let from = (address - section.address) as usize;
        section.contents.get(from..from.checked_add(bytes as usize)?)
    }

    /// The section that `address` lies in.
    pub fn home(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|section| section.holds(address))
    }

    /// Whether a word belongs to no static object: the linker's own, written once, for code that
    /// asks where something is (the global offset table).
    fn is_linkers(&self, address: u64) -> bool {
        let objects = || self.statics.iter();
        objects().next().is_some()
            && !objects()
                .any(|object| (object.address..object.address + object.bytes).contains(&address))
    }

    pub fn code(&self, function: &Symbol) -> &[u8] {
        self.bytes(function.address, function.bytes).unwrap_or_default()
    }
}

/// Whether the segment at `address` may be written to once the program runs.
fn writable(file: &object::File, address: u64) -> bool {
    let object::File::Elf64(file) = file else { return true };
    let endian = file.endian();
    let holds = |header: &&elf::ProgramHeader64<object::Endianness>, kind| {
        let from = header.p_vaddr(endian);
        header.p_type(endian) == kind && (from..from + header.p_memsz(endian)).contains(&address)
    };
    let headers = || file.elf_program_headers().iter();
    // What is only relocated at the start is then made read-only.
    headers().find(|header| holds(header, elf::PT_LOAD)).is_some_and(|header| {
        header.p_flags(endian).contains(PF_W)
            && !headers().any(|header| holds(&header, elf::PT_GNU_RELRO))
    })
}

/// Functions (labels of hand-written assembly included) and static objects.
fn symbols(file: &object::File, sections: &[Section]) -> (Vec<Symbol>, Vec<Symbol>) {
    let mut functions: BTreeMap<u64, Symbol> = BTreeMap::new();
    let mut labels: BTreeMap<u64, Symbol> = BTreeMap::new();
    let mut statics = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
        let Ok(name) = symbol.name() else { continue };
        let name = format!("{:#}", rustc_demangle::demangle(name));
        let entry = Symbol { name, address: symbol.address(), bytes: symbol.size() };
        let home = sections.iter().find(|section| section.holds(entry.address));
        match (symbol.kind(), home) {
            (SymbolKind::Data, Some(_)) => statics.push(entry),
            (SymbolKind::Text, Some(home)) if home.executable && entry.bytes > 0 => {
                // Of several names of one function the longest range counts, then the first name.
                let known = functions.get(&entry.address);
                let better = known
                    .is_none_or(|known| (known.bytes, &entry.name) < (entry.bytes, &known.name));
                if better {
                    functions.insert(entry.address, entry);
                }
            }
            (SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown, Some(home))
                if home.executable && !entry.name.is_empty() =>
            {
                labels.entry(entry.address).or_insert(entry);
            }
            _ => (),
        }
    }
    adopt_labels(&mut functions, labels, sections);
    statics.sort_by(|a, b| (b.bytes, &a.name, a.address).cmp(&(a.bytes, &b.name, b.address)));
    (functions.into_values().collect(), statics)
}

/// A label without a size is a function when no function covers it; it ends where the next begins.
fn adopt_labels(
    functions: &mut BTreeMap<u64, Symbol>,
    labels: BTreeMap<u64, Symbol>,
    sections: &[Section],
) {
    let covered = |functions: &BTreeMap<u64, Symbol>, address: u64| {
        let before = functions.range(..=address).next_back();
        before.is_some_and(|(start, function)| address < start + function.bytes)
    };
    let loose: Vec<Symbol> =
        labels.into_values().filter(|label| !covered(functions, label.address)).collect();
    for (place, label) in loose.iter().enumerate() {
        let home = sections.iter().find(|section| section.holds(label.address));
        let ends = [
            home.map(|section| section.address + section.bytes),
            loose.get(place + 1).map(|next| next.address),
            functions.range(label.address + 1..).next().map(|(start, _)| *start),
        ];
        let end = ends.into_iter().flatten().min().unwrap_or(label.address);
        let bytes = end - label.address;
        functions.insert(label.address, Symbol { bytes, ..label.clone() });
    }
}

/// The section that rustc's `-Z emit-stack-sizes` writes: address, size as ULEB128, repeated.
fn declared_frames(mut data: &[u8]) -> Result<BTreeMap<u64, u64>, String> {
    let broken = || "section .stack_sizes ends in the middle of an entry".to_owned();
    let mut frames = BTreeMap::new();
    while !data.is_empty() {
        let (address, rest) = data.split_first_chunk::<8>().ok_or_else(broken)?;
        data = rest;
        let size = leb128::read::unsigned(&mut data).map_err(|_| broken())?;
        // The linker leaves entries of functions that it removed, with address 0.
        let address = u64::from_le_bytes(*address);
        let frame = frames.entry(address).or_insert(size);
        *frame = size.max(*frame);
    }
    Ok(frames)
}

/// Every function that some word of the data, or a relocation, points at.
fn pointers(file: &object::File, image: &Image) -> BTreeSet<u64> {
    let starts: BTreeSet<u64> = image.functions.iter().map(|function| function.address).collect();
    let mut found = BTreeSet::new();
    for section in image.sections.iter().filter(|section| !section.executable) {
        // A word that only looks like a pointer does no harm but looseness. Words of the linker
        // count where an instruction loads them.
        let own = |address: u64| !section.writable || !image.is_linkers(address);
        found.extend(section.words().filter(|(address, _)| own(*address)).map(|(_, word)| word));
    }
    for (_, relocation) in file.dynamic_relocations().into_iter().flatten() {
        let base = match relocation.target() {
            RelocationTarget::Symbol(index) => file
                .dynamic_symbol_table()
                .and_then(|table| table.symbol_by_index(index).ok())
                .map_or(0, |symbol| symbol.address()),
            _ => 0,
        };
        found.insert(base.wrapping_add(relocation.addend() as u64));
    }
    found.retain(|address| starts.contains(address));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_frames_are_addresses_and_leb128() {
        let mut section = Vec::new();
        for (address, size) in [(0x1000_u64, &[0x18][..]), (0x2000, &[0x80, 0x02])] {
            section.extend(address.to_le_bytes());
            section.extend(size);
        }
        let frames = declared_frames(&section).unwrap();
        assert_eq!(frames, BTreeMap::from([(0x1000, 24), (0x2000, 256)]));
        assert!(declared_frames(&section[..9 + 9]).is_err());
    }
}
