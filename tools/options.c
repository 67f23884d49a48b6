/* SPDX-License-Identifier: MIT */
/* Which command takes which option, and the help that is printed from it. */
#include "tools/args.h"

#include <string.h>

#define PLANS (QUANTIZE | PLAN)
#define WRITES (QUANTIZE | DEQUANTIZE)
#define READS (INSPECT | VERIFY)
#define EVERY (QUANTIZE | DEQUANTIZE | INSPECT | VERIFY | COMPARE | PLAN)

const struct option_row option_rows[OPT_COUNT] = {
    [OPT_OUTPUT] = {"output", 'o', "OUT", WRITES, "the file to write; it appears whole or not at all"},
    [OPT_FORMAT] = {"format", 0, "F", PLANS, "mxfp4 mxfp6-e2m3 (or mxfp6) mxfp6-e3m2 mxfp8-e4m3\n(or mxfp8) mxfp8-e5m2 mxint8; none keeps everything"},
    [OPT_RULE] = {"rule", 0, "REGEX=F", PLANS, "F for the tensors whose names REGEX matches;\nrepeatable, the first that matches wins"},
    [OPT_RULES] = {"rules", 0, "FILE", PLANS, "rules from a JSON array of \"REGEX=F\" texts"},
    [OPT_AXES] = {"axes", 0, "F:L", PLANS, "block along axes F to L, as 1:3 or -1:-1 [what the\nprogram sums; elsewhere the last axis]"},
    [OPT_SCALE_RULE] = {"scale-rule", 0, "R", PLANS, "auto floor ceil even rceil rceil-725 mse, or a rule of\nanother tool, see the manual [auto]"},
    [OPT_ROUND] = {"round", 0, "R", PLANS, "rne half-away half-zero trunc stochastic:SEED [rne]"},
    [OPT_COMPAT] = {"compat", 0, "PEER", PLANS, "the same numbers as: ocp torchao torchao-0.18 ggml\ncompressed-tensors microxcaling fbgemm quark mlx\nmodelopt auto-round"},
    [OPT_NONFINITE] = {"nonfinite", 0, "N", PLANS, "error block saturate: NaN and Inf in weights [error]"},
    [OPT_RAGGED] = {"ragged", 0, "R", PLANS, "pad keep: rows that are not a multiple of 32 [pad]"},
    [OPT_ROOT] = {"root", 0, "NAME", PLANS, "folder of all members in the archive [model]"},
    [OPT_GRAPH] = {"graph", 0, "G", PLANS, "each none: does the program decode every tensor\n[each up to 512 quantized tensors]"},
    [OPT_TARGET] = {"target", 0, "T", PLANS, "torch-2.11 torch-2.12: which PyTorch opens it\n[torch-2.12]"},
    [OPT_WEIGHTS_ONLY] = {"weights-only", 0, NULL, PLANS, "of a .pt2: the weights without their program"},
    [OPT_ALIGN] = {"align", 0, "BYTES", PLANS, "of data in the archive, 1 to 32768 [64]"},
    [OPT_DTYPE] = {"dtype", 0, "D", DEQUANTIZE, "source f32 bf16 f16: what MX tensors become [source]"},
    [OPT_TENSOR] = {"tensor", 0, "NAME", INSPECT, "everything about one tensor"},
    [OPT_MODEL] = {"model", 0, "NAME", PLANS | DEQUANTIZE | READS | COMPARE, "which program of a .pt2 that holds several [model]"},
    [OPT_AS] = {"as", 0, "KIND", READS, "zip json npy safetensors pt2: read the file as\nthat, and check its data"},
    [OPT_MIN_SQNR] = {"min-sqnr", 0, "DB", COMPARE, "exit 0 when no tensor is missing or below DB decibels"},
    [OPT_FORCE] = {"force", 'f', NULL, WRITES, "replace an existing output"},
    [OPT_JOBS] = {"jobs", 'j', "N", WRITES | COMPARE, "threads [as many as cores]"},
    [OPT_CPU] = {"cpu", 0, "LEVEL", EVERY, "use no kernels above LEVEL: reference scalar avx2 ..."},
    [OPT_QUIET] = {"quiet", 'q', NULL, WRITES | VERIFY | COMPARE, "print errors only"},
    [OPT_VERBOSE] = {"verbose", 'v', NULL, WRITES | INSPECT, "list each tensor"},
    [OPT_JSON] = {"json", 0, NULL, EVERY, "print the result as JSON on standard output"},
    [OPT_PROGRESS] = {"progress", 0, "WHEN", WRITES, "auto always never json [auto: on a terminal]"},
    [OPT_HELP] = {"help", 'h', NULL, EVERY, "this text"},
    [OPT_VERSION] = {"version", 0, NULL, EVERY, "the version"},
};

const struct command_row command_rows[6] = {
    {QUANTIZE, "quantize", 1, "mxquant quantize IN -o OUT.pt2 --format F [options]",
     "Converts weights to MX blocks and writes one archive that PyTorch opens. IN:\n"
     ".safetensors, its .index.json, .npy, .npz, or a .pt2, whose program stays.\n",
     "  mxquant quantize model.safetensors -o model.pt2 --format mxfp4\n"
     "  mxquant quantize model.safetensors -o model.pt2 --format mxfp4 \\\n"
     "      --rule 'embed|head=mxfp8' --rule 'gate=none'\n"
     "  mxquant quantize program.pt2 -o small.pt2 --format mxfp4   # still runs\n"
     "  mxquant quantize old.pt2 -o new.pt2 --format none   # adds digests, no more\n"},
    {DEQUANTIZE, "dequantize", 1, "mxquant dequantize IN -o OUT [options]",
     "Decodes MX tensors to floats; all others are copied as they are.\n"
     "OUT: .safetensors, or - for the same to a pipe, or .pt2: the program of IN\n"
     "with plain weights.\n",
     "  mxquant dequantize model.pt2 -o back.safetensors\n"
     "  mxquant dequantize model.pt2 -o back.pt2\n"
     "  mxquant dequantize model.pt2 -o back.safetensors --dtype bf16\n"
     "  mxquant dequantize model.pt2 -o - | ssh host 'cat > back.safetensors'\n"},
    {INSPECT, "inspect", 1, "mxquant inspect FILE [options]",
     "Says what is in a file: tensors, shapes, formats, layouts, sizes, and of a\nprogram its inputs, outputs, operators and their weights. Reads the\n"
     "metadata only; FILE: .safetensors, its .index.json, .npy, .npz or .pt2.\n",
     "  mxquant inspect model.pt2\n"
     "  mxquant inspect model.pt2 --tensor model.embed_tokens.weight\n"
     "  mxquant inspect model.pt2 --json | jq '.tensors[].name'\n"
     "  mxquant inspect model.pt2 --as zip      # members, every byte checked\n"},
    {VERIFY, "verify", 1, "mxquant verify FILE [options]",
     "Reads every byte of a file: structure, checksums, digests, and whether each\n"
     "tensor can be decoded. Exit code 0: all is right; 4: damaged.\n",
     "  mxquant verify model.pt2\n"
     "  mxquant verify model.pt2 --json         # every finding, not only the first\n"
     "  mxquant verify -q model.pt2 || echo damaged\n"},
    {COMPARE, "compare", 2, "mxquant compare A B [options]",
     "Compares two files tensor by tensor, decoded to f32: largest difference,\n"
     "SQNR (A is the signal, A - B the noise), cosine, clipped, zeroed values.\n"
     "Exit code 0: identical, or good enough with --min-sqnr; 5: not.\n",
     "  mxquant compare model.safetensors model.pt2\n"
     "  mxquant compare model.safetensors model.pt2 --min-sqnr 18\n"},
    {PLAN, "plan", 1, "mxquant plan IN --format F [options]",
     "Says what quantize would do with the same options, and why: for each tensor,\n"
     "in bytes, and in memory. Reads the metadata only and writes nothing.\n",
     "  mxquant plan model.safetensors --format mxfp4\n"
     "  mxquant plan program.pt2 --format mxfp4   # which operator, which axis\n"
     "  mxquant plan model.safetensors --rule 'mlp=mxfp4' --rule 'attn=mxfp8' --json\n"},
};

const struct command_row *command_row(enum command id) {
  for (size_t i = 0; i < sizeof command_rows / sizeof *command_rows; i++)
    if (command_rows[i].id == id)
      return &command_rows[i];
  return NULL;
}

void help_command(FILE *f, enum command id) {
  enum { COLUMN = 24 };
  const struct command_row *c = command_row(id);
  fprintf(f, "Usage: %s\n\n%s\n%s\n", c->usage, c->about, c->examples);
  for (int i = 0; i < OPT_COUNT; i++) {
    const struct option_row *o = &option_rows[i];
    if (!(o->commands & id))
      continue;
    int used = o->letter ? fprintf(f, "  -%c, ", o->letter) : fprintf(f, "      ");
    used += fprintf(f, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    for (const char *line = o->help; line;) {
      const char *end = strchr(line, '\n');
      fprintf(f, "%*s%.*s\n", COLUMN - used, "", end ? (int)(end - line) : (int)strlen(line), line);
      line = end ? end + 1 : NULL;
      used = 0;
    }
  }
}
