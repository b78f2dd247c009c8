//! The worst case of the stack: the call graph goes in; the deepest path from the entry point, and
//! the cycles that would make it endless, come out.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::calls::{Graph, Node};

/// Functions that call, through a pointer, only the closure that they are called with; said here
/// because the machine code does not tell. They are taken to call every function that their own
/// callers make pointers to, and not, as others are, every function that anyone makes pointers to.
const CALLED_WITH_CLOSURE: [&str; 1] = ["qga_core::mountinfo::each_local"];

/// Pushed by a call.
const RETURN_ADDRESS_BYTES: u64 = 8;

/// One function on the deepest path.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub frame_bytes: u64,
    /// Called, with a return address, rather than jumped to or started by the kernel.
    pub called: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// Bytes of stack at most, return addresses included; `None` with a cycle or an unknown frame.
    pub bound_bytes: Option<u64>,
    pub path: Vec<Step>,
    /// Each a set of functions that call one another, or one that calls itself.
    pub cycles: Vec<Vec<String>>,
    /// Reached functions whose frame comes from the disassembly alone, with that frame.
    pub undeclared: Vec<(String, u64)>,
    /// Reached functions whose frame is not known at all.
    pub unbounded: Vec<String>,
    /// Reached functions that call through any pointer.
    pub calling_pointers: Vec<String>,
    /// Reached functions that call a closure of their caller's, and nothing else through a pointer.
    pub calling_closures: Vec<String>,
    pub reached: usize,
}

/// The functions that are reached, by address, and whether one calls the other (or jumps to it).
type Edges = DiGraphMap<u64, bool>;

pub fn worst_case(graph: &Graph, entry: u64) -> Stack {
    let edges = edges(graph, entry);
    // Callees before callers.
    let components = tarjan_scc(&edges);
    let node = |address: &u64| graph.nodes.get(address);
    let nodes = || components.iter().flatten().filter_map(node);
    let names = |keep: fn(&Node) -> bool| -> Vec<String> {
        let mut names: Vec<String> =
            nodes().filter(|node| keep(node)).map(|node| node.name.clone()).collect();
        names.sort();
        names
    };
    let undeclared = nodes().filter(|node| node.undeclared);
    let mut undeclared: Vec<_> = undeclared.map(|n| (n.name.clone(), n.frame_bytes)).collect();
    undeclared.sort();
    let is_cycle = |all: &&Vec<u64>| all.len() > 1 || edges.contains_edge(all[0], all[0]);
    let cycle = |all: &Vec<u64>| {
        let mut names: Vec<String> =
            all.iter().filter_map(node).map(|node| node.name.clone()).collect();
        names.sort();
        names
    };
    let mut cycles: Vec<Vec<String>> = components.iter().filter(is_cycle).map(cycle).collect();
    cycles.sort();
    let mut result = Stack {
        cycles,
        undeclared,
        unbounded: names(|node| node.unbounded),
        calling_pointers: names(|node| calls_pointer(node) && !is_called_with_closure(node)),
        calling_closures: names(|node| calls_pointer(node) && is_called_with_closure(node)),
        reached: edges.node_count(),
        ..Default::default()
    };
    if result.cycles.is_empty() && graph.nodes.contains_key(&entry) {
        let (bound, path) = deepest(graph, &edges, components.concat(), entry);
        result.path = path;
        result.bound_bytes = result.unbounded.is_empty().then_some(bound);
    }
    result
}

fn calls_pointer(node: &Node) -> bool {
    node.calls_pointer || node.jumps_pointer
}

fn is_called_with_closure(node: &Node) -> bool {
    CALLED_WITH_CLOSURE.contains(&node.name.as_str())
}

/// Where a call through a pointer in `node` may lead.
fn pointed_at(graph: &Graph, address: u64, node: &Node) -> BTreeSet<u64> {
    // A function that is itself behind a pointer has callers that are not known.
    if !is_called_with_closure(node) || graph.pointed_at.contains(&address) {
        return graph.pointed_at.clone();
    }
    let calls = |caller: &&Node| caller.calls.contains(&address) || caller.jumps.contains(&address);
    let callers: Vec<&Node> = graph.nodes.values().filter(calls).collect();
    // A caller that makes no pointer passes one on that it was given.
    match callers.iter().any(|caller| caller.takes.is_empty()) {
        true => graph.pointed_at.clone(),
        false => callers.iter().flat_map(|caller| &caller.takes).copied().collect(),
    }
}

/// What `entry` reaches.
fn edges(graph: &Graph, entry: u64) -> Edges {
    let mut edges = Edges::new();
    edges.add_node(entry);
    let mut pending = vec![entry];
    while let Some(address) = pending.pop() {
        let Some(node) = graph.nodes.get(&address) else { continue };
        let mut add = |to: u64, called: bool| {
            if !edges.contains_node(to) {
                pending.push(to);
            }
            // A call takes more stack than a jump to the same function.
            let called = called || edges.edge_weight(address, to) == Some(&true);
            edges.add_edge(address, to, called);
        };
        node.calls.iter().for_each(|to| add(*to, true));
        node.jumps.iter().for_each(|to| add(*to, false));
        if calls_pointer(node) {
            pointed_at(graph, address, node).iter().for_each(|to| add(*to, node.calls_pointer));
        }
    }
    edges
}

/// The deepest path, callees before callers: a call keeps the caller's frame, a jump replaces it.
fn deepest(graph: &Graph, edges: &Edges, order: Vec<u64>, entry: u64) -> (u64, Vec<Step>) {
    let mut worst: BTreeMap<u64, (u64, Option<(u64, bool)>)> = BTreeMap::new();
    for address in order {
        let Some(node) = graph.nodes.get(&address) else { continue };
        let mut best = (node.frame_bytes, None);
        for (_, to, called) in edges.edges(address) {
            let below = worst.get(&to).map_or(0, |(bytes, _)| *bytes);
            let kept = if *called { node.frame_bytes + RETURN_ADDRESS_BYTES } else { 0 };
            if kept + below > best.0 {
                best = (kept + below, Some((to, *called)));
            }
        }
        worst.insert(address, best);
    }
    let mut path = Vec::new();
    let mut here = Some((entry, false));
    while let Some((address, called)) = here {
        let Node { name, frame_bytes, .. } = &graph.nodes[&address];
        path.push(Step { name: name.clone(), frame_bytes: *frame_bytes, called });
        here = worst.get(&address).and_then(|(_, next)| *next);
    }
    (worst.get(&entry).map_or(0, |(bytes, _)| *bytes), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, frame_bytes: u64, calls: &[u64], jumps: &[u64]) -> Node {
        let (calls, jumps) = (calls.iter().copied(), jumps.iter().copied());
        Node {
            name: name.into(),
            frame_bytes,
            calls: calls.collect(),
            jumps: jumps.collect(),
            ..Default::default()
        }
    }

    fn graph_of(nodes: Vec<Node>, pointed_at: &[u64]) -> Graph {
        let nodes = nodes.into_iter().enumerate().map(|(place, node)| (place as u64, node));
        Graph { nodes: nodes.collect(), pointed_at: pointed_at.iter().copied().collect() }
    }

    #[test]
    fn the_deepest_path_counts_return_addresses_and_drops_frames_at_jumps() {
        let graph = graph_of(
            vec![
                node("start", 8, &[1, 2], &[]),
                node("wide", 100, &[], &[3]),
                node("deep", 40, &[3], &[]),
                node("leaf", 90, &[], &[]),
                node("unreached", 9999, &[], &[]),
            ],
            &[],
        );
        let stack = worst_case(&graph, 0);
        assert_eq!(stack.bound_bytes, Some(8 + 8 + 40 + 8 + 90));
        let path: Vec<&str> = stack.path.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(path, ["start", "deep", "leaf"]);
        assert_eq!(stack.reached, 4);
    }

    #[test]
    fn cycles_are_named_and_leave_no_bound() {
        let direct = graph_of(vec![node("start", 0, &[1], &[]), node("self", 8, &[1], &[])], &[]);
        assert_eq!(worst_case(&direct, 0).cycles, [["self"]]);
        assert_eq!(worst_case(&direct, 0).bound_bytes, None);
        let mut through_pointer =
            graph_of(vec![node("start", 0, &[1], &[]), node("b", 8, &[2], &[])], &[1]);
        let caller = Node { calls_pointer: true, ..node("c", 8, &[], &[]) };
        through_pointer.nodes.insert(2, caller);
        assert_eq!(worst_case(&through_pointer, 0).cycles, [["b", "c"]]);
    }

    #[test]
    fn a_function_called_with_a_closure_calls_what_its_callers_point_at() {
        let name = CALLED_WITH_CLOSURE[0];
        let mut graph = graph_of(
            vec![
                node("start", 0, &[1], &[]),
                node("command", 100, &[2], &[]),
                Node { calls_pointer: true, ..node(name, 10, &[], &[]) },
                node("closure", 5, &[], &[]),
            ],
            &[1, 3],
        );
        graph.nodes.entry(1).and_modify(|node| node.takes = BTreeSet::from([3]));
        assert_eq!(worst_case(&graph, 0).bound_bytes, Some(8 + 100 + 8 + 10 + 8 + 5));
        // With a caller that only passes a pointer on, anything may be called: a cycle.
        graph.nodes.entry(1).and_modify(|node| node.takes = BTreeSet::new());
        assert_eq!(worst_case(&graph, 0).bound_bytes, None);
    }
}
