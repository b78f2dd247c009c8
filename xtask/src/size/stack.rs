//! The worst case of the stack: the call graph goes in; the deepest path from the entry point, and
//! the cycles that would make it endless, come out.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::calls::{Graph, Node};
use super::types::Type;

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

/// A function's calls through pointers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointers {
    pub caller: String,
    /// The types of the pointers; none when they are not known.
    pub types: Option<BTreeSet<Type>>,
    /// To how many functions they may lead.
    pub targets: usize,
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
    /// Reached functions that call through pointers, in the order of their names.
    pub pointers: Vec<Pointers>,
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
    let calling = nodes().filter(|node| node.calls_pointer()).map(|node| Pointers {
        caller: node.name.clone(),
        types: node.called.clone(),
        targets: graph.targets(node).count(),
    });
    let mut pointers: Vec<Pointers> = calling.collect();
    pointers.sort();
    let mut result = Stack {
        cycles,
        undeclared,
        unbounded: names(|node| node.unbounded),
        pointers,
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
        if node.calls_pointer() {
            graph.targets(node).for_each(|to| add(to, node.calls_pointer));
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

    /// `start` calls `command`, which calls through a pointer: to itself or to `closure`, as their
    /// types allow.
    fn through_pointers(types: [Option<&str>; 3]) -> Stack {
        let [called, command, closure] =
            types.map(|kind| kind.map(|kind| [kind.to_owned()].into()));
        let of = |name, frame, own| Node { own, ..node(name, frame, &[], &[]) };
        let nodes = vec![
            node("start", 0, &[1], &[]),
            Node { calls_pointer: true, called, ..of("command", 100, command) },
            of("closure", 5, closure),
        ];
        worst_case(&graph_of(nodes, &[1, 2]), 0)
    }

    #[test]
    fn a_call_through_a_pointer_leads_to_functions_of_its_type() {
        let stack = through_pointers([Some("b"), Some("a"), Some("b")]);
        assert_eq!(stack.bound_bytes, Some(8 + 100 + 8 + 5));
        let types = Some(["b".to_owned()].into());
        assert_eq!(stack.pointers, [Pointers { caller: "command".into(), types, targets: 1 }]);
        assert_eq!(through_pointers([Some("c"), Some("a"), Some("b")]).pointers[0].targets, 0);
    }

    #[test]
    fn a_pointer_or_a_function_of_unknown_type_fits_all() {
        for types in [[None, Some("a"), Some("b")], [Some("b"), None, Some("b")]] {
            let stack = through_pointers(types);
            assert_eq!((stack.bound_bytes, stack.pointers[0].targets), (None, 2));
            assert_eq!(stack.cycles, [["command"]]);
        }
    }
}
