/**
 * The cycles of a directed graph given as `Map<node, node[]>`: each strongly connected group of two or more nodes, and each node that
 * points at itself (Tarjan 1972). Groups are sorted, so that a report is the same on every machine.
 */
export function findCycles(graph) {
  const state = { index: new Map(), low: new Map(), stack: [], groups: [] };
  for (const node of graph.keys()) if (!state.index.has(node)) visit(node, graph, state);
  return state.groups;
}

function visit(node, graph, state) {
  const { index, low, stack, groups } = state;
  index.set(node, index.size);
  low.set(node, index.get(node));
  stack.push(node);
  for (const next of graph.get(node) ?? []) {
    if (!index.has(next)) {
      visit(next, graph, state);
      low.set(node, Math.min(low.get(node), low.get(next)));
    } else if (stack.includes(next)) {
      low.set(node, Math.min(low.get(node), index.get(next)));
    }
  }
  if (low.get(node) !== index.get(node)) return;
  const group = stack.splice(stack.indexOf(node)).sort();
  if (group.length > 1 || (graph.get(node) ?? []).includes(node)) groups.push(group);
}
