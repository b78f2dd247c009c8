//! The worst case of the stack: the call graph goes in; the deepest path from the entry point, and
//! the cycles that would make it endless, come out.

use std::collections::{BTreeMap, BTreeSet};

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

/// How a function goes on to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    to: u64,
    called: bool,
}

pub fn worst_case(graph: &Graph, entry: u64) -> Stack {
    let edges: BTreeMap<u64, BTreeSet<Edge>> = graph
        .nodes
        .iter()
        .map(|(address, node)| (*address, edges_of(graph, *address, node)))
        .collect();
    let (order, cycles) = components(&edges, entry);
    let nodes = || order.iter().filter_map(|address| graph.nodes.get(address));
    let names = |keep: fn(&Node) -> bool| -> Vec<String> {
        let mut names: Vec<String> =
            nodes().filter(|node| keep(node)).map(|node| node.name.clone()).collect();
        names.sort();
        names
    };
    let mut undeclared: Vec<(String, u64)> = nodes()
        .filter(|node| node.undeclared)
        .map(|node| (node.name.clone(), node.frame_bytes))
        .collect();
    undeclared.sort();
    let mut result = Stack {
        undeclared,
        unbounded: names(|node| node.unbounded),
        calling_pointers: names(|node| calls_pointer(node) && !is_called_with_closure(node)),
        calling_closures: names(|node| calls_pointer(node) && is_called_with_closure(node)),
        reached: order.len(),
        ..Default::default()
    };
    result.cycles = cycles
        .iter()
        .map(|cycle| cycle.iter().map(|address| graph.nodes[address].name.clone()).collect())
        .collect();
    result.cycles.iter_mut().for_each(|cycle: &mut Vec<String>| cycle.sort());
    result.cycles.sort();
    if result.cycles.is_empty() && graph.nodes.contains_key(&entry) {
        let (bound, path) = deepest(graph, &edges, &order, entry);
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

fn edges_of(graph: &Graph, address: u64, node: &Node) -> BTreeSet<Edge> {
    let edge = |called: bool| move |to: &u64| Edge { to: *to, called };
    let mut edges: BTreeSet<Edge> = node.calls.iter().map(edge(true)).collect();
    edges.extend(node.jumps.iter().map(edge(false)));
    if node.calls_pointer {
        edges.extend(pointed_at(graph, address, node).iter().map(edge(true)));
    }
    if node.jumps_pointer {
        edges.extend(pointed_at(graph, address, node).iter().map(edge(false)));
    }
    edges
}

/// What `components` remembers of a function that it has entered.
#[derive(Clone, Copy)]
struct Mark {
    number: usize,
    lowest: usize,
    open: bool,
}

/// Tarjan's strongly connected components of what `entry` reaches, without recursion: the
/// functions, callees before callers, and the components that are cycles.
fn components(edges: &BTreeMap<u64, BTreeSet<Edge>>, entry: u64) -> (Vec<u64>, Vec<Vec<u64>>) {
    let next_of = |address: u64| -> Vec<u64> {
        edges.get(&address).into_iter().flatten().map(|edge| edge.to).collect()
    };
    let mut marks: BTreeMap<u64, Mark> = BTreeMap::new();
    let mut open: Vec<u64> = Vec::new();
    let (mut order, mut cycles) = (Vec::new(), Vec::new());
    let mut work: Vec<(u64, Vec<u64>)> = vec![(entry, next_of(entry))];
    marks.insert(entry, Mark { number: 0, lowest: 0, open: true });
    open.push(entry);
    while let Some((address, rest)) = work.last_mut() {
        let address = *address;
        if let Some(callee) = rest.pop() {
            match marks.get(&callee).copied() {
                None => {
                    let number = marks.len();
                    marks.insert(callee, Mark { number, lowest: number, open: true });
                    open.push(callee);
                    work.push((callee, next_of(callee)));
                }
                Some(mark) if mark.open => lower(&mut marks, address, mark.number),
                Some(_) => (),
            }
            continue;
        }
        work.pop();
        let mark = marks[&address];
        if let Some((caller, _)) = work.last() {
            lower(&mut marks, *caller, mark.lowest);
        }
        if mark.lowest == mark.number {
            let from = open.iter().rposition(|member| *member == address).unwrap_or(0);
            let component = open.split_off(from);
            for member in &component {
                marks.entry(*member).and_modify(|mark| mark.open = false);
            }
            order.extend(component.iter().rev());
            let calls_itself = next_of(address).contains(&address);
            if component.len() > 1 || calls_itself {
                cycles.push(component);
            }
        }
    }
    (order, cycles)
}

fn lower(marks: &mut BTreeMap<u64, Mark>, address: u64, number: usize) {
    marks.entry(address).and_modify(|mark| mark.lowest = mark.lowest.min(number));
}

/// The deepest path, callees before callers: a call keeps the caller's frame, a jump replaces it.
fn deepest(
    graph: &Graph,
    edges: &BTreeMap<u64, BTreeSet<Edge>>,
    order: &[u64],
    entry: u64,
) -> (u64, Vec<Step>) {
    let mut worst: BTreeMap<u64, (u64, Option<Edge>)> = BTreeMap::new();
    for address in order {
        let Some(node) = graph.nodes.get(address) else { continue };
        let mut best = (node.frame_bytes, None);
        for edge in edges.get(address).into_iter().flatten() {
            let below = worst.get(&edge.to).map_or(0, |(bytes, _)| *bytes);
            let kept = if edge.called { node.frame_bytes + RETURN_ADDRESS_BYTES } else { 0 };
            if kept + below > best.0 {
                best = (kept + below, Some(*edge));
            }
        }
        worst.insert(*address, best);
    }
    let mut path = Vec::new();
    let mut here = Some(Edge { to: entry, called: false });
    while let Some(edge) = here {
        let node = &graph.nodes[&edge.to];
        path.push(Step {
            name: node.name.clone(),
            frame_bytes: node.frame_bytes,
            called: edge.called,
        });
        here = worst.get(&edge.to).and_then(|(_, next)| *next);
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
