/* SPDX-License-Identifier: MIT */
/*
 * What PyTorch's operators (and those few of others that uses.c knows) do with a weight. Overloads of an operator do the same; one that is not here
 * does nothing that is understood.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/uses.h"

#define DOES(what) MXQ_DOES_##what
#define SUMS(what) MXQ_SUMS_##what

/* Sorted by name. Without an argument's name: the first one. */
static const struct row {
  const char *op, *argument;
  uint8_t action;
} rows[] = {
    {"__rmatmul__", "other", SUMS(BEFORE_LAST)}, {"__rmatmul__", "self", SUMS(LAST)}, {"_addmm_activation", "mat1", SUMS(LAST)},
    {"_addmm_activation", "mat2", SUMS(BEFORE_LAST)}, {"_assert_tensor_metadata", NULL, DOES(ASK)},
    {"_batch_norm_impl_index", "running_mean", DOES(WRITE_TRAINING)}, {"_batch_norm_impl_index", "running_var", DOES(WRITE_TRAINING)},
    {"_batch_norm_with_update", "running_mean", DOES(WRITE)}, {"_batch_norm_with_update", "running_var", DOES(WRITE)}, {"_conj", NULL, DOES(SAME)},
    {"_conv_depthwise2d", "weight", SUMS(ALL_BUT_FIRST)}, {"_convolution", "weight", DOES(CONVOLVE)}, {"_convolution_mode", "weight", DOES(CONVOLVE)},
    {"_cudnn_rnn", "weight", SUMS(LAST_OF_MATRIX)}, {"_embedding_bag", "weight", DOES(LOOK_UP)}, {"_embedding_bag_forward_only", "weight", DOES(LOOK_UP)},
    {"_fused_moving_avg_obs_fq_helper", "running_max", DOES(WRITE)}, {"_fused_moving_avg_obs_fq_helper", "running_min", DOES(WRITE)},
    {"_fused_moving_avg_obs_fq_helper", "scale", DOES(WRITE)}, {"_fused_moving_avg_obs_fq_helper", "zero_point", DOES(WRITE)},
    {"_grouped_mm", "mat2", SUMS(BEFORE_LAST)}, {"_grouped_mm", "self", SUMS(LAST)}, {"_int_mm", "mat2", SUMS(BEFORE_LAST)}, {"_int_mm", "self", SUMS(LAST)},
    {"_mkldnn_linear", "input", SUMS(LAST)}, {"_mkldnn_linear", "weight", SUMS(LAST)}, {"_native_batch_norm_legit", "running_mean", DOES(WRITE_TRAINING)},
    {"_native_batch_norm_legit", "running_var", DOES(WRITE_TRAINING)}, {"_native_multi_head_attention", "proj_weight", SUMS(LAST)},
    {"_native_multi_head_attention", "qkv_weight", SUMS(LAST)}, {"_neg_view", NULL, DOES(SAME)}, {"_reshape_alias", NULL, DOES(RESHAPE)},
    {"_scaled_dot_product_attention_math", "key", SUMS(LAST)}, {"_scaled_dot_product_attention_math", "query", SUMS(LAST)},
    {"_scaled_dot_product_attention_math", "value", SUMS(BEFORE_LAST)}, {"_scaled_dot_product_attention_math_for_mps", "key", SUMS(LAST)},
    {"_scaled_dot_product_attention_math_for_mps", "query", SUMS(LAST)}, {"_scaled_dot_product_attention_math_for_mps", "value", SUMS(BEFORE_LAST)},
    {"_scaled_dot_product_cudnn_attention", "key", SUMS(LAST)}, {"_scaled_dot_product_cudnn_attention", "query", SUMS(LAST)},
    {"_scaled_dot_product_cudnn_attention", "value", SUMS(BEFORE_LAST)}, {"_scaled_dot_product_efficient_attention", "key", SUMS(LAST)},
    {"_scaled_dot_product_efficient_attention", "query", SUMS(LAST)}, {"_scaled_dot_product_efficient_attention", "value", SUMS(BEFORE_LAST)},
    {"_scaled_dot_product_flash_attention", "key", SUMS(LAST)}, {"_scaled_dot_product_flash_attention", "query", SUMS(LAST)},
    {"_scaled_dot_product_flash_attention", "value", SUMS(BEFORE_LAST)}, {"_scaled_dot_product_flash_attention_for_cpu", "key", SUMS(LAST)},
    {"_scaled_dot_product_flash_attention_for_cpu", "query", SUMS(LAST)}, {"_scaled_dot_product_flash_attention_for_cpu", "value", SUMS(BEFORE_LAST)},
    {"_scaled_dot_product_fused_attention_overrideable", "key", SUMS(LAST)}, {"_scaled_dot_product_fused_attention_overrideable", "query", SUMS(LAST)},
    {"_scaled_dot_product_fused_attention_overrideable", "value", SUMS(BEFORE_LAST)}, {"_scaled_grouped_mm", "mat2", SUMS(BEFORE_LAST)},
    {"_scaled_grouped_mm", "self", SUMS(LAST)}, {"_scaled_mm", "mat2", SUMS(BEFORE_LAST)}, {"_scaled_mm", "self", SUMS(LAST)},
    {"_slow_conv2d_forward", "weight", SUMS(ALL_BUT_FIRST)}, {"_sparse_mm", "dense", SUMS(BEFORE_LAST)}, {"_sparse_mm", "sparse", SUMS(LAST)},
    {"_to_copy", NULL, DOES(COPY)}, {"_transformer_encoder_layer_fwd", "ffn_weight_1", SUMS(LAST)},
    {"_transformer_encoder_layer_fwd", "ffn_weight_2", SUMS(LAST)}, {"_transformer_encoder_layer_fwd", "proj_weight", SUMS(LAST)},
    {"_transformer_encoder_layer_fwd", "qkv_weight", SUMS(LAST)}, {"_trilinear", "i2", SUMS(ALL_BUT_FIRST)}, {"_unsafe_index", "self", DOES(INDEX)},
    {"_unsafe_view", NULL, DOES(RESHAPE)}, {"_weight_norm", NULL, DOES(ELEMENTWISE)}, {"_weight_norm_interface", "v", DOES(ELEMENTWISE)},
    {"abs", NULL, DOES(ELEMENTWISE)}, {"add", NULL, DOES(ELEMENTWISE)}, {"addbmm", "batch1", SUMS(LAST)}, {"addbmm", "batch2", SUMS(BEFORE_LAST)},
    {"addmm", "mat1", SUMS(LAST)}, {"addmm", "mat2", SUMS(BEFORE_LAST)}, {"addmv", "mat", SUMS(LAST)}, {"addmv", "vec", SUMS(LAST)},
    {"adjoint", NULL, DOES(SWAP_LAST)}, {"alias", NULL, DOES(SAME)}, {"alias_copy", NULL, DOES(COPY)}, {"alpha_dropout", NULL, DOES(SAME)},
    {"as_strided", NULL, DOES(BYTES)}, {"as_strided_", NULL, DOES(BYTES)}, {"as_strided_copy", NULL, DOES(BYTES)}, {"as_strided_scatter", NULL, DOES(BYTES)},
    {"atleast_1d", NULL, DOES(RESHAPE)}, {"atleast_2d", NULL, DOES(RESHAPE)}, {"atleast_3d", NULL, DOES(RESHAPE)}, {"baddbmm", "batch1", SUMS(LAST)},
    {"baddbmm", "batch2", SUMS(BEFORE_LAST)}, {"batch_norm", "running_mean", DOES(WRITE_TRAINING)}, {"batch_norm", "running_var", DOES(WRITE_TRAINING)},
    {"batch_norm_gather_stats", "running_mean", DOES(WRITE)}, {"batch_norm_gather_stats", "running_var", DOES(WRITE)},
    {"batch_norm_gather_stats_with_counts", "running_mean", DOES(WRITE)}, {"batch_norm_gather_stats_with_counts", "running_var", DOES(WRITE)},
    {"batch_norm_update_stats", "running_mean", DOES(WRITE)}, {"batch_norm_update_stats", "running_var", DOES(WRITE)}, {"bfloat16", NULL, DOES(SAME)},
    {"bilinear", "weight", SUMS(ALL_BUT_FIRST)}, {"bmm", "mat2", SUMS(BEFORE_LAST)}, {"bmm", "self", SUMS(LAST)}, {"broadcast_tensors", NULL, DOES(SPREAD)},
    {"broadcast_to", NULL, DOES(SPREAD)}, {"cat", NULL, DOES(JOIN)}, {"ceil", NULL, DOES(ELEMENTWISE)}, {"chain_matmul", "matrices", DOES(MULTIPLY_ALL)},
    {"chunk", NULL, DOES(CUT)}, {"clamp", NULL, DOES(ELEMENTWISE)}, {"clamp_max", NULL, DOES(ELEMENTWISE)}, {"clamp_min", NULL, DOES(ELEMENTWISE)},
    {"clone", NULL, DOES(COPY)}, {"concat", NULL, DOES(JOIN)}, {"concatenate", NULL, DOES(JOIN)}, {"conj", NULL, DOES(SAME)}, {"contiguous", NULL, DOES(SAME)},
    {"conv1d", "weight", SUMS(ALL_BUT_FIRST)}, {"conv2d", "weight", SUMS(ALL_BUT_FIRST)}, {"conv3d", "weight", SUMS(ALL_BUT_FIRST)},
    {"conv_depthwise3d", "weight", SUMS(ALL_BUT_FIRST)}, {"conv_tbc", "weight", SUMS(FIRST_TWO)}, {"conv_transpose1d", "weight", SUMS(FIRST)},
    {"conv_transpose2d", "weight", SUMS(FIRST)}, {"conv_transpose3d", "weight", SUMS(FIRST)}, {"convolution", "weight", DOES(CONVOLVE)},
    {"convolution_overrideable", "weight", DOES(CONVOLVE)}, {"cos", NULL, DOES(ELEMENTWISE)}, {"cpu", NULL, DOES(SAME)}, {"cuda", NULL, DOES(SAME)},
    {"cudnn_batch_norm", "running_mean", DOES(WRITE_TRAINING)}, {"cudnn_batch_norm", "running_var", DOES(WRITE_TRAINING)},
    {"cudnn_convolution", "weight", SUMS(ALL_BUT_FIRST)}, {"cudnn_convolution_relu", "weight", SUMS(ALL_BUT_FIRST)},
    {"cudnn_convolution_transpose", "weight", SUMS(FIRST)}, {"deform_conv2d", "weight", SUMS(ALL_BUT_FIRST)}, {"detach", NULL, DOES(SAME)},
    {"detach_", NULL, DOES(SAME)}, {"detach_copy", NULL, DOES(COPY)}, {"diagonal", NULL, DOES(CUT)}, {"div", NULL, DOES(ELEMENTWISE)},
    {"divide", NULL, DOES(ELEMENTWISE)}, {"dot", "self", SUMS(LAST)}, {"dot", "tensor", SUMS(LAST)}, {"double", NULL, DOES(SAME)},
    {"dropout", NULL, DOES(SAME)}, {"dsplit", NULL, DOES(CUT)}, {"einsum", "tensors", DOES(EINSUM)}, {"elu", NULL, DOES(ELEMENTWISE)},
    {"embedding", "weight", DOES(LOOK_UP)}, {"embedding_bag", "weight", DOES(LOOK_UP)}, {"empty_like", NULL, DOES(ASK)}, {"erf", NULL, DOES(ELEMENTWISE)},
    {"exp", NULL, DOES(ELEMENTWISE)}, {"exp2", NULL, DOES(ELEMENTWISE)}, {"expand", NULL, DOES(SPREAD)}, {"expand_as", NULL, DOES(SPREAD)},
    {"expand_as", "other", DOES(ASK)}, {"expand_copy", NULL, DOES(SPREAD)}, {"expm1", NULL, DOES(ELEMENTWISE)},
    {"fake_quantize_per_channel_affine", NULL, DOES(ELEMENTWISE)}, {"fake_quantize_per_tensor_affine", NULL, DOES(ELEMENTWISE)},
    {"feature_alpha_dropout", NULL, DOES(SAME)}, {"feature_dropout", NULL, DOES(SAME)}, {"flatten", NULL, DOES(RESHAPE)}, {"flip", NULL, DOES(CUT)},
    {"float", NULL, DOES(SAME)}, {"floor", NULL, DOES(ELEMENTWISE)}, {"full_like", NULL, DOES(ASK)},
    {"fused_moving_avg_obs_fake_quant", "running_max", DOES(WRITE)}, {"fused_moving_avg_obs_fake_quant", "running_min", DOES(WRITE)},
    {"fused_moving_avg_obs_fake_quant", "scale", DOES(WRITE)}, {"fused_moving_avg_obs_fake_quant", "zero_point", DOES(WRITE)}, {"gather", "self", DOES(PICK)},
    {"gelu", NULL, DOES(ELEMENTWISE)}, {"grouped_mm_fallback", "input", SUMS(LAST)}, {"grouped_mm_fallback", "weight", SUMS(BEFORE_LAST)},
    {"gru", "params", SUMS(LAST_OF_MATRIX)}, {"gru_cell", "w_hh", SUMS(LAST)}, {"gru_cell", "w_ih", SUMS(LAST)}, {"half", NULL, DOES(SAME)},
    {"hardsigmoid", NULL, DOES(ELEMENTWISE)}, {"hardswish", NULL, DOES(ELEMENTWISE)}, {"hardtanh", NULL, DOES(ELEMENTWISE)}, {"hsplit", NULL, DOES(CUT)},
    {"imag", NULL, DOES(BYTES)}, {"index", "self", DOES(INDEX)}, {"index_select", "self", DOES(PICK)}, {"inner", "other", SUMS(LAST)},
    {"inner", "self", SUMS(LAST)}, {"instance_norm", "running_mean", DOES(WRITE_TRAINING)}, {"instance_norm", "running_var", DOES(WRITE_TRAINING)},
    {"is_complex", NULL, DOES(ASK)}, {"is_floating_point", NULL, DOES(ASK)}, {"is_same_size", NULL, DOES(ASK)}, {"ldexp", NULL, DOES(ELEMENTWISE)},
    {"leaky_relu", NULL, DOES(ELEMENTWISE)}, {"lift", NULL, DOES(SAME)}, {"lift_fresh", NULL, DOES(SAME)}, {"lift_fresh_copy", NULL, DOES(COPY)},
    {"linalg_diagonal", NULL, DOES(CUT)}, {"linalg_matmul", "other", SUMS(BEFORE_LAST)}, {"linalg_matmul", "self", SUMS(LAST)},
    {"linalg_multi_dot", "tensors", DOES(MULTIPLY_ALL)}, {"linalg_vecdot", "x", SUMS(LAST)}, {"linalg_vecdot", "y", SUMS(LAST)},
    {"linear", "input", SUMS(LAST)}, {"linear", "weight", SUMS(LAST)}, {"log", NULL, DOES(ELEMENTWISE)}, {"log1p", NULL, DOES(ELEMENTWISE)},
    {"log_sigmoid", NULL, DOES(ELEMENTWISE)}, {"logical_not", NULL, DOES(ELEMENTWISE)}, {"lstm", "params", SUMS(LAST_OF_MATRIX)},
    {"lstm_cell", "w_hh", SUMS(LAST)}, {"lstm_cell", "w_ih", SUMS(LAST)}, {"mH", NULL, DOES(SWAP_LAST)}, {"mT", NULL, DOES(SWAP_LAST)},
    {"masked_fill", NULL, DOES(ELEMENTWISE)}, {"matmul", "other", SUMS(BEFORE_LAST)}, {"matmul", "self", SUMS(LAST)}, {"matrix_H", NULL, DOES(SWAP_LAST)},
    {"meshgrid", NULL, DOES(CUT)}, {"miopen_batch_norm", "running_mean", DOES(WRITE_TRAINING)}, {"miopen_batch_norm", "running_var", DOES(WRITE_TRAINING)},
    {"mkldnn_convolution", "weight", SUMS(ALL_BUT_FIRST)}, {"mkldnn_convolution_transpose", "weight", SUMS(FIRST)}, {"mkldnn_linear", "input", SUMS(LAST)},
    {"mkldnn_linear", "weight", SUMS(LAST)}, {"mkldnn_rnn_layer", "weight0", SUMS(LAST_OF_MATRIX)}, {"mkldnn_rnn_layer", "weight1", SUMS(LAST_OF_MATRIX)},
    {"mkldnn_rnn_layer", "weight2", SUMS(LAST_OF_MATRIX)}, {"mkldnn_rnn_layer", "weight3", SUMS(LAST_OF_MATRIX)}, {"mm", "mat2", SUMS(BEFORE_LAST)},
    {"mm", "self", SUMS(LAST)}, {"moveaxis", NULL, DOES(MOVE)}, {"movedim", NULL, DOES(MOVE)}, {"mul", NULL, DOES(ELEMENTWISE)},
    {"multiply", NULL, DOES(ELEMENTWISE)}, {"mv", "self", SUMS(LAST)}, {"mv", "vec", SUMS(LAST)}, {"nan_to_num", NULL, DOES(ELEMENTWISE)},
    {"narrow", NULL, DOES(CUT)}, {"narrow_copy", NULL, DOES(CUT)}, {"native_batch_norm", "running_mean", DOES(WRITE_TRAINING)},
    {"native_batch_norm", "running_var", DOES(WRITE_TRAINING)}, {"native_dropout", NULL, DOES(COPY)}, {"neg", NULL, DOES(ELEMENTWISE)},
    {"negative", NULL, DOES(ELEMENTWISE)}, {"new_empty", NULL, DOES(ASK)}, {"new_empty_strided", NULL, DOES(ASK)}, {"new_full", NULL, DOES(ASK)},
    {"new_ones", NULL, DOES(ASK)}, {"new_zeros", NULL, DOES(ASK)}, {"numel", NULL, DOES(ASK)}, {"numpy_T", NULL, DOES(REVERSE)},
    {"ones_like", NULL, DOES(ASK)}, {"permute", NULL, DOES(PERMUTE)}, {"permute_copy", NULL, DOES(PERMUTE)}, {"pin_memory", NULL, DOES(SAME)},
    {"positive", NULL, DOES(SAME)}, {"pow", NULL, DOES(ELEMENTWISE)}, {"rand_like", NULL, DOES(ASK)}, {"randint_like", NULL, DOES(ASK)},
    {"randn_like", NULL, DOES(ASK)}, {"ravel", NULL, DOES(RESHAPE)}, {"real", NULL, DOES(BYTES)}, {"reciprocal", NULL, DOES(ELEMENTWISE)},
    {"relu", NULL, DOES(ELEMENTWISE)}, {"repeat", NULL, DOES(SPREAD)}, {"requires_grad", NULL, DOES(SAME)}, {"requires_grad_", NULL, DOES(SAME)},
    {"reshape", NULL, DOES(RESHAPE)}, {"reshape_as", NULL, DOES(RESHAPE)}, {"reshape_as", "other", DOES(ASK)}, {"reshape_copy", NULL, DOES(RESHAPE)},
    {"resolve_conj", NULL, DOES(SAME)}, {"resolve_neg", NULL, DOES(SAME)}, {"result_type", NULL, DOES(ASK)}, {"rnn_relu", "params", SUMS(LAST_OF_MATRIX)},
    {"rnn_relu_cell", "w_hh", SUMS(LAST)}, {"rnn_relu_cell", "w_ih", SUMS(LAST)}, {"rnn_tanh", "params", SUMS(LAST_OF_MATRIX)},
    {"rnn_tanh_cell", "w_hh", SUMS(LAST)}, {"rnn_tanh_cell", "w_ih", SUMS(LAST)}, {"roll", NULL, DOES(CUT)}, {"round", NULL, DOES(ELEMENTWISE)},
    {"rrelu_with_noise", "noise", DOES(WRITE)}, {"rsqrt", NULL, DOES(ELEMENTWISE)}, {"rsub", NULL, DOES(ELEMENTWISE)},
    {"scaled_dot_product_attention", "key", SUMS(LAST)}, {"scaled_dot_product_attention", "query", SUMS(LAST)},
    {"scaled_dot_product_attention", "value", SUMS(BEFORE_LAST)}, {"select", NULL, DOES(SELECT)}, {"select_copy", NULL, DOES(SELECT)},
    {"sigmoid", NULL, DOES(ELEMENTWISE)}, {"sign", NULL, DOES(ELEMENTWISE)}, {"silu", NULL, DOES(ELEMENTWISE)}, {"sin", NULL, DOES(ELEMENTWISE)},
    {"size", NULL, DOES(ASK)}, {"slice", NULL, DOES(CUT)}, {"slice_copy", NULL, DOES(CUT)}, {"slow_conv3d", "weight", SUMS(ALL_BUT_FIRST)},
    {"slow_conv_dilated2d", "weight", SUMS(ALL_BUT_FIRST)}, {"slow_conv_dilated3d", "weight", SUMS(ALL_BUT_FIRST)},
    {"slow_conv_transpose2d", "weight", SUMS(FIRST)}, {"slow_conv_transpose3d", "weight", SUMS(FIRST)}, {"softplus", NULL, DOES(ELEMENTWISE)},
    {"softsign", NULL, DOES(ELEMENTWISE)}, {"split", NULL, DOES(CUT)}, {"split_copy", NULL, DOES(CUT)}, {"split_with_sizes", NULL, DOES(CUT)},
    {"split_with_sizes_copy", NULL, DOES(CUT)}, {"sqrt", NULL, DOES(ELEMENTWISE)}, {"square", NULL, DOES(ELEMENTWISE)}, {"squeeze", NULL, DOES(RESHAPE)},
    {"squeeze_copy", NULL, DOES(RESHAPE)}, {"stack", NULL, DOES(STACK)}, {"storage_offset", NULL, DOES(ASK)}, {"stride", NULL, DOES(ASK)},
    {"sub", NULL, DOES(ELEMENTWISE)}, {"subtract", NULL, DOES(ELEMENTWISE)}, {"swapaxes", NULL, DOES(TRANSPOSE)}, {"swapdims", NULL, DOES(TRANSPOSE)},
    {"sym_is_contiguous", NULL, DOES(ASK)}, {"sym_numel", NULL, DOES(ASK)}, {"sym_size", NULL, DOES(ASK)}, {"sym_storage_offset", NULL, DOES(ASK)},
    {"sym_stride", NULL, DOES(ASK)}, {"sync_batch_norm", "running_mean", DOES(WRITE)}, {"sync_batch_norm", "running_var", DOES(WRITE)}, {"t", NULL, DOES(T)},
    {"t_copy", NULL, DOES(T)}, {"tanh", NULL, DOES(ELEMENTWISE)}, {"tensor_split", NULL, DOES(CUT)}, {"tensordot", "other", DOES(TENSORDOT)},
    {"tensordot", "self", DOES(TENSORDOT)}, {"thnn_conv2d", "weight", SUMS(ALL_BUT_FIRST)}, {"threshold", NULL, DOES(ELEMENTWISE)},
    {"tile", NULL, DOES(SPREAD)}, {"to", NULL, DOES(SAME)}, {"to", "other", DOES(ASK)}, {"transpose", NULL, DOES(TRANSPOSE)},
    {"transpose_copy", NULL, DOES(TRANSPOSE)}, {"tril", NULL, DOES(ELEMENTWISE)}, {"triu", NULL, DOES(ELEMENTWISE)}, {"true_divide", NULL, DOES(ELEMENTWISE)},
    {"trunc", NULL, DOES(ELEMENTWISE)}, {"type_as", NULL, DOES(SAME)}, {"type_as", "other", DOES(ASK)}, {"unbind", NULL, DOES(SELECT)},
    {"unbind_copy", NULL, DOES(SELECT)}, {"unflatten", NULL, DOES(RESHAPE)}, {"unfold", NULL, DOES(CUT)}, {"unsafe_chunk", NULL, DOES(CUT)},
    {"unsafe_split", NULL, DOES(CUT)}, {"unsafe_split_with_sizes", NULL, DOES(CUT)}, {"unsqueeze", NULL, DOES(RESHAPE)},
    {"unsqueeze_copy", NULL, DOES(RESHAPE)}, {"vdot", "other", SUMS(LAST)}, {"vdot", "self", SUMS(LAST)}, {"view", NULL, DOES(RESHAPE)},
    {"view_as", NULL, DOES(RESHAPE)}, {"view_as", "other", DOES(ASK)}, {"view_as_complex", NULL, DOES(BYTES)}, {"view_as_real", NULL, DOES(BYTES)},
    {"view_copy", NULL, DOES(RESHAPE)}, {"vsplit", NULL, DOES(CUT)}, {"where", "other", DOES(ELEMENTWISE)}, {"where", "self", DOES(ELEMENTWISE)},
    {"zeros_like", NULL, DOES(ASK)},
};
enum { ROWS = sizeof rows / sizeof *rows };

static int by_name(const void *key, const void *row) { return strcmp(key, ((const struct row *)row)->op); }

enum mxq_pt2_action mxq_pt2_action(const char *op, const char *argument, bool first) {
  const struct row *r = bsearch(op, rows, ROWS, sizeof *rows, by_name);
  if (!r)
    return MXQ_DOES_OTHER;
  while (r > rows && strcmp(r[-1].op, op) == 0)
    r--;
  for (; r < rows + ROWS && strcmp(r->op, op) == 0; r++)
    if (r->argument ? strcmp(r->argument, argument) == 0 : first)
      return (enum mxq_pt2_action)r->action;
  return MXQ_DOES_OTHER;
}
