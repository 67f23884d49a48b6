/* SPDX-License-Identifier: MIT */
/* Which nodes of a program only decode MX weights. */
#include "formats/pt2/restore.h"

#include "lib/base/fail.h"

/* PyTorch puts such a node before each cast when it exports a program again. It makes nothing and changes nothing. */
static bool is_assertion(const struct mxq_pt2_program *p, const struct mxq_pt2_node *n) {
  return n->result_count == 0 && mxq_pt2_span_is(p, n->target, "torch.ops.aten._assert_tensor_metadata.default");
}

static bool is_output(const struct mxq_pt2_subgraph *g, uint32_t value) {
  for (uint32_t i = 0; i < g->output_count; i++)
    if (g->outputs_values[i] == value)
      return true;
  return false;
}

bool mxq_pt2_unused(const struct mxq_pt2_program *p, uint32_t value, const unsigned char *gone) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  const struct mxq_pt2_value *v = &g->values[value];
  for (uint32_t i = 0; i < v->use_count; i++) {
    uint32_t node = g->taken[g->uses[v->first_use + i]].node;
    if (!gone[node] && !is_assertion(p, &g->nodes[node]))
      return false;
  }
  return !is_output(g, value);
}

/* All results of a node are taken by gone nodes, and by at least one. */
static bool serves_gone(const struct mxq_pt2_program *p, const struct mxq_pt2_node *n, const unsigned char *gone) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  bool some = false;
  for (uint32_t i = 0; i < n->result_count; i++)
    some |= g->values[g->results[n->first_result + i]].use_count > 0;
  for (uint32_t i = 0; i < n->result_count && some; i++)
    some = mxq_pt2_unused(p, g->results[n->first_result + i], gone);
  return some;
}

static enum mxq_status check_inputs(const struct mxq_pt2_program *p, const struct mxq_pt2_node *n, struct mxq_error *err) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  for (uint32_t i = 0; i < n->taken_count; i++) {
    const struct mxq_pt2_value *v = &g->values[g->taken[n->first_taken + i].value];
    if (v->node != MXQ_NO_NUMBER)
      continue;
    if (mxq_pt2_stands_for(p, v) != MXQ_NO_NUMBER) /* codes, scales, or a table */
      continue;
    const struct mxq_pt2_value *name = n->result_count ? &g->values[g->results[n->first_result]] : v;
    return mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, p->member, n->span.at,
                       "node '%.*s' is needed to decode a weight and takes '%.*s', which is no tensor of the archive: the nodes cannot be taken out; write safetensors instead",
                       (int)name->name_n, name->name, (int)v->name_n, v->name);
  }
  return MXQ_OK;
}

enum mxq_status mxq_pt2_decoding_nodes(const struct mxq_pt2_program *p, const uint32_t *values, size_t count, const bool *parts, unsigned char *gone,
                                       struct mxq_error *err) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  for (size_t i = 0; i < count; i++) {
    const struct mxq_pt2_value *v = &g->values[values[i]];
    if (v->node == MXQ_NO_NUMBER || g->nodes[v->node].result_count != 1)
      return mxq_fail(err, MXQ_ERR_UNSUPPORTED, p->member, "'%.*s' is not the one result of a node: its decoding nodes cannot be taken out",
                      (int)v->name_n, v->name);
    gone[v->node] = MXQ_RESULT_STAYS;
  }
  /* Nodes stand behind what they take, so from the last to the first all takers of a result are decided before it. */
  for (uint32_t n = g->node_count; n-- > 0;)
    if (!gone[n] && serves_gone(p, &g->nodes[n], gone))
      gone[n] = MXQ_GONE;
  enum mxq_status status = MXQ_OK;
  for (uint32_t n = 0; n < g->node_count && status == MXQ_OK; n++)
    if (gone[n])
      status = check_inputs(p, &g->nodes[n], err);
  /* Assertions about what is gone. A result that is one of `values` stays. */
  for (uint32_t n = 0; n < g->node_count && status == MXQ_OK; n++) {
    const struct mxq_pt2_node *node = &g->nodes[n];
    if (gone[n] || !is_assertion(p, node))
      continue;
    for (uint32_t i = 0; i < node->taken_count && !gone[n]; i++) {
      const struct mxq_pt2_value *v = &g->values[g->taken[node->first_taken + i].value];
      uint32_t stored = mxq_pt2_stands_for(p, v);
      if (v->node != MXQ_NO_NUMBER ? gone[v->node] == MXQ_GONE : stored != MXQ_NO_NUMBER && parts[stored])
        gone[n] = MXQ_GONE;
    }
  }
  return status;
}
