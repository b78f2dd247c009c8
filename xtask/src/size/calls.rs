//! What each function does with the stack: the image goes in; per function its frame, the functions
//! that it calls or jumps on to, and whether it calls through a pointer come out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

use super::image::{Image, Symbol};
use super::types::{Type, Types};

/// A function as a node of the call graph.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub name: String,
    pub bytes: u64,
    /// The most that the function itself has on the stack, without its own return address.
    pub frame_bytes: u64,
    /// The frame is from the disassembly alone: hand-written assembly, or precompiled code.
    pub undeclared: bool,
    /// The disassembly alone could not tell the frame either.
    pub unbounded: bool,
    /// Addresses of functions called while the frame is there.
    pub calls: BTreeSet<u64>,
    /// Addresses of functions jumped to when the frame is gone.
    pub jumps: BTreeSet<u64>,
    pub calls_pointer: bool,
    pub jumps_pointer: bool,
    /// Addresses of functions that the code of this one makes pointers to.
    pub takes: BTreeSet<u64>,
    /// Its types, of which it has several when it is several functions in one; none: any.
    pub own: Option<BTreeSet<Type>>,
    /// The types of the pointers that it calls; none: any.
    pub called: Option<BTreeSet<Type>>,
}

impl Node {
    pub fn calls_pointer(&self) -> bool {
        self.calls_pointer || self.jumps_pointer
    }
}

pub struct Graph {
    pub nodes: BTreeMap<u64, Node>,
    /// Where a call through a pointer may lead.
    pub pointed_at: BTreeSet<u64>,
}

impl Graph {
    /// Where the calls through pointers in `caller` may lead: to what is of one of their types.
    pub fn targets(&self, caller: &Node) -> impl Iterator<Item = u64> {
        self.pointed_at.iter().copied().filter(|address| {
            let own = self.nodes.get(address).and_then(|target| target.own.as_ref());
            let both = caller.called.as_ref().zip(own);
            both.is_none_or(|(called, own)| !called.is_disjoint(own))
        })
    }
}

pub fn graph(image: &Image, types: &Types) -> Graph {
    let mut pointed_at = image.pointed_at.clone();
    let mut nodes = BTreeMap::new();
    for function in &image.functions {
        let code = decode(image, function);
        let mut node = examine(image, function, &code);
        let names = || image.names.get(&function.address).into_iter().flatten();
        (node.own, node.called) = (types.own(names()), types.called(names()));
        pointed_at.extend(&node.takes);
        nodes.insert(function.address, node);
    }
    Graph { nodes, pointed_at }
}

fn decode(image: &Image, function: &Symbol) -> Vec<Instruction> {
    let code = image.code(function);
    Decoder::with_ip(64, code, function.address, DecoderOptions::NONE).into_iter().collect()
}

/// Collects a function's calls, and the functions whose address it takes.
fn examine(image: &Image, function: &Symbol, code: &[Instruction]) -> Node {
    let own = function.address..function.address + function.bytes;
    let depth = depths(code, own.start);
    let mut node =
        Node { name: function.name.clone(), bytes: function.bytes, ..Default::default() };
    for (place, instruction) in code.iter().enumerate() {
        let start_of = |address: u64| image.function(address).map(|callee| callee.address);
        match instruction.flow_control() {
            FlowControl::Call => node.calls.extend(start_of(instruction.near_branch_target())),
            FlowControl::IndirectCall => match slot(image, instruction) {
                Some(target) => node.calls.extend(start_of(target)),
                None => node.calls_pointer = true,
            },
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                let target = instruction.near_branch_target();
                let callee = (!own.contains(&target)).then(|| start_of(target)).flatten();
                // A jump out with the frame still there is counted as a call, to be safe.
                match depth.at.get(place).copied().flatten() {
                    Some(0) => node.jumps.extend(callee),
                    _ => node.calls.extend(callee),
                }
            }
            FlowControl::IndirectBranch
                if in_jump_table(image, &own, &code[..place], instruction) => {}
            FlowControl::IndirectBranch => match slot(image, instruction) {
                Some(target) => node.jumps.extend(start_of(target)),
                None => node.jumps_pointer = true,
            },
            _ => node.takes.extend(addresses(image, instruction).filter_map(|address| {
                image.function(address).filter(|f| f.address == address).map(|f| f.address)
            })),
        }
    }
    let declared = image.declared_frames.get(&function.address).copied();
    node.undeclared = declared.is_none();
    node.unbounded = declared.is_none() && !depth.bounded;
    node.frame_bytes = declared.unwrap_or(0).max(depth.deepest);
    node
}

/// The function that `call [rip + x]` leads to, when the word there never changes.
fn slot(image: &Image, instruction: &Instruction) -> Option<u64> {
    let fixed = instruction.is_ip_rel_memory_operand() && instruction.op0_kind() == OpKind::Memory;
    let target = fixed.then(|| image.constant(instruction.ip_rel_memory_address()))??;
    image.function(target).map(|_| target)
}

/// Numbers in an instruction, or loaded by it, that may be a function's address.
fn addresses(image: &Image, instruction: &Instruction) -> impl Iterator<Item = u64> {
    let at = instruction.is_ip_rel_memory_operand().then(|| instruction.ip_rel_memory_address());
    let loaded = at.and_then(|at| image.constant(at));
    let immediate =
        (0..instruction.op_count()).find_map(|operand| match instruction.op_kind(operand) {
            OpKind::Immediate32 | OpKind::Immediate64 | OpKind::Immediate32to64 => {
                Some(instruction.immediate(operand))
            }
            _ => None,
        });
    at.into_iter().chain(loaded).chain(immediate)
}

/// Whether an indirect jump picks a place of its own function, as a `match` does. The compiler
/// loads a 32-bit distance from a table of four-byte entries, adds the table's address, and jumps
/// there; or it jumps through a table of addresses, all of them its own.
fn in_jump_table(
    image: &Image,
    own: &Range<u64>,
    before: &[Instruction],
    jump: &Instruction,
) -> bool {
    if jump.op0_kind() == OpKind::Memory {
        let indexed = jump.memory_base() == Register::None && jump.memory_index_scale() == 8;
        let first = image.constant(jump.memory_displacement64());
        return indexed && first.is_some_and(|target| own.contains(&target));
    }
    let recent = &before[before.len().saturating_sub(12)..];
    let distance = |instruction: &Instruction| {
        instruction.code() == Code::Movsxd_r64_rm32
            && instruction.op1_kind() == OpKind::Memory
            && instruction.memory_index_scale() == 4
    };
    let sum = |instruction: &Instruction| {
        instruction.mnemonic() == Mnemonic::Add && instruction.op0_register() == jump.op0_register()
    };
    recent.iter().position(distance).is_some_and(|at| recent[at..].iter().any(sum))
}

/// How deep the stack is before each instruction, in bytes below the return address.
struct Depths {
    at: Vec<Option<u64>>,
    deepest: u64,
    /// False when the stack pointer moves in a way that was not followed.
    bounded: bool,
}

/// The stack pointer, and the frame pointer when it is a copy of it.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    stack: i64,
    frame: Option<i64>,
}

/// Follows every path through a function once. The compiler keeps the depth at one place the same
/// on all paths to it; a loop that moves the stack pointer is reported as unbounded.
fn depths(code: &[Instruction], entry: u64) -> Depths {
    let index: BTreeMap<u64, usize> =
        code.iter().enumerate().map(|(place, instruction)| (instruction.ip(), place)).collect();
    let mut result = Depths { at: vec![None; code.len()], deepest: 0, bounded: true };
    let mut pending = vec![(entry, Place { stack: 0, frame: None })];
    // Places that only a jump table leads to are entered with the depth at that jump.
    let mut tables: Vec<Place> = Vec::new();
    loop {
        while let Some((address, place)) = pending.pop() {
            let Some(at) = index.get(&address).copied() else { continue };
            let depth = u64::try_from(-place.stack).unwrap_or(0);
            if let Some(known) = result.at[at] {
                result.bounded &= known == depth;
                continue;
            }
            result.at[at] = Some(depth);
            let instruction = &code[at];
            let next = moved(instruction, place, &mut result.bounded);
            result.deepest = result.deepest.max(u64::try_from(-next.stack).unwrap_or(0));
            let flow = instruction.flow_control();
            if matches!(flow, FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch) {
                pending.push((instruction.near_branch_target(), next));
            }
            if flow == FlowControl::IndirectBranch {
                tables.push(next);
            }
            let falls_through = !matches!(
                flow,
                FlowControl::UnconditionalBranch
                    | FlowControl::IndirectBranch
                    | FlowControl::Return
                    | FlowControl::Exception
            );
            if falls_through {
                pending.push((instruction.next_ip(), next));
            }
        }
        let unseen = result.at.iter().position(Option::is_none);
        match (unseen, tables.first()) {
            (Some(at), Some(place)) => pending.push((code[at].ip(), *place)),
            // Padding and what stands after a call that never returns.
            _ => return result,
        }
    }
}

/// Where the stack pointer is after an instruction.
fn moved(instruction: &Instruction, before: Place, bounded: &mut bool) -> Place {
    let Place { stack, frame } = before;
    let at = |stack: i64| Place { stack, frame };
    let target = match instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Register {
        true => instruction.op0_register(),
        false => Register::None,
    };
    match (instruction.mnemonic(), target, frame) {
        (Mnemonic::Leave, _, Some(frame)) => Place { stack: frame + 8, frame: None },
        (Mnemonic::Pop, Register::RBP, _) => Place { stack: stack + 8, frame: None },
        (Mnemonic::Push | Mnemonic::Pop | Mnemonic::Pushfq | Mnemonic::Popfq, ..) => {
            at(stack + i64::from(instruction.stack_pointer_increment()))
        }
        // A call's return address is the callee's business, and gone when it returns; a comparison
        // changes nothing.
        (Mnemonic::Call | Mnemonic::Ret | Mnemonic::Cmp | Mnemonic::Test, ..) => before,
        (_, Register::RBP, _) => Place { stack, frame: new_value(instruction, before) },
        (_, Register::RSP, _) => match new_value(instruction, before) {
            Some(stack) => at(stack),
            None => {
                *bounded = false;
                before
            }
        },
        _ => before,
    }
}

/// What an instruction that computes the stack or the frame pointer from either makes of it.
fn new_value(instruction: &Instruction, before: Place) -> Option<i64> {
    let value = |register: Register| match register {
        Register::RSP => Some(before.stack),
        Register::RBP => before.frame,
        _ => None,
    };
    let old = value(instruction.op0_register());
    let source = instruction.op1_kind();
    let constant = || instruction.immediate(1) as i64;
    match (instruction.mnemonic(), source) {
        (Mnemonic::Mov, OpKind::Register) => value(instruction.op1_register()),
        (Mnemonic::Lea, OpKind::Memory) if instruction.memory_index() == Register::None => {
            Some(value(instruction.memory_base())? + instruction.memory_displacement64() as i64)
        }
        (_, OpKind::Register | OpKind::Memory) => None,
        (Mnemonic::Sub, _) => Some(old? - constant()),
        (Mnemonic::Add, _) => Some(old? + constant()),
        // Rounding down to a power of two: the most that this can take, words being aligned.
        (Mnemonic::And, _) if constant() < 0 => Some(old? - (-constant() - 8).max(0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depths_of(code: &[u8]) -> Depths {
        let decoder = Decoder::with_ip(64, code, 0x1000, DecoderOptions::NONE);
        depths(&decoder.into_iter().collect::<Vec<_>>(), 0x1000)
    }

    #[test]
    fn pushes_and_subtractions_add_up() {
        // push rbx; sub rsp, 0x20; call +0; add rsp, 0x20; pop rbx; ret
        let code = b"\x53\x48\x83\xec\x20\xe8\0\0\0\0\x48\x83\xc4\x20\x5b\xc3";
        let depths = depths_of(code);
        assert_eq!((depths.deepest, depths.bounded), (40, true));
        assert_eq!(depths.at, [0, 8, 40, 40, 8, 0].map(Some));
    }

    #[test]
    fn a_frame_pointer_brings_the_stack_pointer_back() {
        // push rbp; mov rbp, rsp; and rsp, -32; sub rsp, 0x40; mov rsp, rbp; pop rbp; ret
        let code = b"\x55\x48\x89\xe5\x48\x83\xe4\xe0\x48\x83\xec\x40\x48\x89\xec\x5d\xc3";
        let depths = depths_of(code);
        assert_eq!((depths.deepest, depths.bounded), (8 + 24 + 64, true));
        assert_eq!(depths.at.last(), Some(&Some(0)));
    }

    #[test]
    fn what_is_not_followed_has_no_bound() {
        // sub rsp, rax; ret
        assert!(!depths_of(b"\x48\x29\xc4\xc3").bounded);
        // a loop that pushes: push rax; jmp -3
        assert!(!depths_of(b"\x50\xeb\xfd").bounded);
    }
}
