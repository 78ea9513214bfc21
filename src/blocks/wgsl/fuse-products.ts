import { countUses } from '../fuse-swiglu';
import { floatAttribute, type GraphModel, intAttribute, type NodeSpec } from '../graph';

/**
 * The graph with fewer passes over its values: what is added to a product is added where the product is written, and
 * the product of a LoRA's B (backwards of its A) is summed in the same kernel as the layer's own. The latter becomes a
 * `Gemm` with the inputs x0, W0, x1, W1 and perhaps c, the attribute `terms` of 2, and y = alpha x0 W0 + x1 W1 + c.
 * @param plain whether a product may be one of two terms.
 */
export function fuseProducts(graph: GraphModel, plain: (product: NodeSpec) => boolean): GraphModel {
  return fuseTerms(fuseAdds(graph), plain);
}

/** `Add` of a product without addend and another value that is there before: one product with that residual. */
function fuseAdds(graph: GraphModel): GraphModel {
  const uses = countUses(graph);
  const nodes: NodeSpec[] = [];
  for (const node of graph.nodes) {
    const free =
      node.op === 'Add' &&
      node.inputs.map((name) => nodes.findIndex((n) => n.outputs[0] === name && bare(n)));
    // The later one, so that the other is there.
    const at = free
      ? Math.max(...free.filter((i) => i >= 0 && uses.get(nodes[i]!.outputs[0]!) === 1), -1)
      : -1;
    if (at < 0) {
      nodes.push(node);
      continue;
    }
    const [product] = nodes.splice(at, 1) as [NodeSpec];
    const other = node.inputs.find((name) => name !== product.outputs[0])!;
    nodes.push({ ...product, name: node.name, inputs: [...product.inputs, other], outputs: node.outputs });
  }
  return { ...graph, nodes };
}

function bare(node: NodeSpec): boolean {
  return node.op === 'Gemm' && node.inputs.length === 2;
}

/** A product whose residual is another one of the same kind that nothing else reads: one product of two terms. */
function fuseTerms(graph: GraphModel, plain: (product: NodeSpec) => boolean): GraphModel {
  const uses = countUses(graph);
  const nodes: NodeSpec[] = [];
  for (const node of graph.nodes) {
    const c = node.op === 'Gemm' ? node.inputs[2] : undefined;
    const at = nodes.findIndex((candidate) => candidate.outputs[0] === c);
    const base = nodes[at];
    const fits =
      base?.op === 'Gemm' &&
      uses.get(c!) === 1 &&
      base.inputs.length <= 3 &&
      !intAttribute(node, 'transA') &&
      !intAttribute(base, 'transA') &&
      intAttribute(node, 'transB') === intAttribute(base, 'transB') &&
      plain(node) &&
      plain(base);
    // Either may be the scaled one.
    const [scaled, other] =
      fits && floatAttribute(base, 'alpha', 1) === 1
        ? [node, base]
        : fits && floatAttribute(node, 'alpha', 1) === 1
          ? [base, node]
          : [];
    if (!scaled || !other) {
      nodes.push(node);
      continue;
    }
    nodes.splice(at, 1);
    nodes.push({
      ...node,
      inputs: [...scaled.inputs.slice(0, 2), ...other.inputs.slice(0, 2), ...base!.inputs.slice(2)],
      attributes: { ...scaled.attributes, terms: { kind: 'int', value: 2 } },
    });
  }
  return { ...graph, nodes };
}
