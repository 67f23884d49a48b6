/* SPDX-License-Identifier: MIT */
/* Layouts and swizzles against their definitions, written here once more, an element at a time. */
#include <check.h>
#include <mxq/mxq.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* `bytes` bytes, `off` bytes behind a page that must not be touched, or ending right before one. */
struct room {
  uint8_t *data;
  void *map;
  size_t mapped;
};
static struct room room_alloc(size_t bytes, size_t off, bool at_end) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + off + page - 1) / page * page + page;
  struct room r = {.mapped = inner + 2 * page};
  r.map = mmap(NULL, r.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(r.map, MAP_FAILED);
  uint8_t *first = (uint8_t *)r.map + page;
  ck_assert_int_eq(mprotect(first, inner, PROT_READ | PROT_WRITE), 0);
  memset(first, 0xa5, inner);
  r.data = at_end ? first + inner - bytes : first + off;
  return r;
}
static void room_free(struct room *r) { munmap(r->map, r->mapped); }

static uint64_t seed = 1611;
static uint8_t any(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint8_t)(seed >> 56);
}

/* ---- definitions ------------------------------------------------------------------------------------------------------------ */

/* Where the lowest `n` bits that lie together of bits `from`... of code i of a block go: byte and shift. Returns n. */
static unsigned place(enum mxq_layout layout, unsigned bits, unsigned i, unsigned from, unsigned *byte, unsigned *shift) {
  static const unsigned high_at[4][2] = {{0, 4}, {0, 0}, {1, 0}, {1, 4}}, low_at[4] = {6, 4, 0, 2};
  *byte = i, *shift = from;
  switch (layout) {
    case MXQ_LAYOUT_FBGEMM:
    case MXQ_LAYOUT_EVEN_LOW: *byte = i / 2, *shift = i % 2 * 4; return 4;
    case MXQ_LAYOUT_EVEN_HIGH: *byte = i / 2, *shift = 4 - i % 2 * 4; return 4;
    case MXQ_LAYOUT_SPLIT_16: *byte = i % 16, *shift = i / 16 * 4; return 4;
    case MXQ_LAYOUT_GGML: *byte = 1 + i % 16, *shift = i / 16 * 4; return 4;
    case MXQ_LAYOUT_LE24: *byte = (6 * i + from) / 8, *shift = (6 * i + from) % 8; return 1;
    case MXQ_LAYOUT_PLANES:
      if (from < 2) {
        *byte = i / 4 * 3 + 2, *shift = low_at[i % 4];
        return 2;
      }
      *byte = i / 4 * 3 + high_at[i % 4][0], *shift = high_at[i % 4][1];
      return 4;
    default: return bits;
  }
}

struct matrix {
  enum mxq_format format;
  size_t rows, k;
  uint8_t *codes, *scales; /* a code a byte, rows of whole blocks, padding zero; scales of blocks */
};

static size_t blocks_of(const struct matrix *m) { return m->rows * (size_t)mxq_row_blocks(m->k); }

static struct matrix matrix(enum mxq_format format, size_t rows, size_t k) {
  struct matrix m = {.format = format, .rows = rows, .k = k};
  const size_t wide = (size_t)mxq_row_blocks(k) * 32, n = blocks_of(&m);
  m.codes = malloc(n * 32 + 1);
  m.scales = malloc(n + 1);
  for (size_t i = 0; i < n * 32; i++) m.codes[i] = i % wide < k ? any() & ((1u << mxq_element_bits(mxq_format_element(format))) - 1) : 0;
  for (size_t i = 0; i < n; i++) m.scales[i] = any();
  return m;
}
static void matrix_free(struct matrix *m) {
  free(m->codes);
  free(m->scales);
}

/* The matrix in a layout, rows `stride` bytes apart. */
static void lay(const struct matrix *m, enum mxq_layout layout, uint8_t *out, size_t stride) {
  const unsigned bits = mxq_element_bits(mxq_format_element(m->format));
  const size_t row_blocks = (size_t)mxq_row_blocks(m->k), size = mxq_layout_block_bytes(layout);
  for (size_t b = 0; b < blocks_of(m); b++) {
    uint8_t *p = out + b / row_blocks * stride + b % row_blocks * size;
    memset(p, 0, size);
    if (mxq_layout_has_scales(layout)) p[layout == MXQ_LAYOUT_GGML ? 0 : 16] = m->scales[b];
    for (unsigned i = 0; i < 32; i++)
      for (unsigned from = 0, n, byte, shift; from < bits; from += n) {
        n = place(layout, bits, i, from, &byte, &shift);
        p[byte] |= (uint8_t)((m->codes[b * 32 + i] >> from & ((1u << n) - 1)) << shift);
      }
  }
}

static const enum mxq_cpu levels[] = {MXQ_CPU_SCALAR, MXQ_CPU_AVX512};
#define FOR_LEVELS                                            \
  for (size_t level = 0; level < 2; level++)                  \
    if (mxq_cpu_set(levels[level] < mxq_cpu_best() ? levels[level] : mxq_cpu_best()) == MXQ_OK)
#define FOR_FORMATS(f) for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++)
#define FOR_LAYOUTS(l, f) \
  for (int l = 1; l < MXQ_LAYOUT_COUNT; l++) \
    if (mxq_layout_fits((enum mxq_layout)l, (enum mxq_format)f))

/* ---- tests ------------------------------------------------------------------------------------------------------------------- */

START_TEST(layouts_and_swizzles_have_names_and_sizes) {
  size_t fits[MXQ_FORMAT_COUNT] = {0};
  FOR_FORMATS(f) {
    ck_assert_str_eq(mxq_layout_name(mxq_layout_of((enum mxq_format)f)), mxq_format_layout((enum mxq_format)f));
    ck_assert_uint_eq(mxq_layout_block_bytes(mxq_layout_of((enum mxq_format)f)), mxq_row_code_bytes((enum mxq_format)f, 1));
    FOR_LAYOUTS(l, f) fits[f]++;
    ck_assert(!mxq_layout_fits(MXQ_LAYOUT_NONE, (enum mxq_format)f) && !mxq_layout_fits(MXQ_LAYOUT_COUNT, (enum mxq_format)f));
  }
  ck_assert(fits[MXQ_MXFP4] == 6 && fits[MXQ_MXFP6_E2M3] == 3 && fits[MXQ_MXFP6_E3M2] == 3 && fits[MXQ_MXFP8_E4M3] == 1 && fits[MXQ_MXINT8] == 1);
  ck_assert(mxq_layout_of(MXQ_FORMAT_NONE) == MXQ_LAYOUT_NONE && !mxq_layout_fits(MXQ_LAYOUT_BYTES, MXQ_FORMAT_NONE));
  for (int l = 1; l < MXQ_LAYOUT_COUNT; l++) {
    enum mxq_layout back;
    ck_assert(mxq_layout_parse(mxq_layout_name((enum mxq_layout)l), &back) && (int)back == l);
  }
  enum mxq_layout layout = MXQ_LAYOUT_LE24;
  ck_assert(!mxq_layout_parse("split-8", &layout) && layout == MXQ_LAYOUT_LE24);
  ck_assert(mxq_layout_name(MXQ_LAYOUT_NONE) == NULL && mxq_layout_name(MXQ_LAYOUT_COUNT) == NULL && mxq_layout_block_bytes(MXQ_LAYOUT_COUNT) == 0);
  uint64_t codes = 1, scales = 2;
  ck_assert(mxq_layout_sizes(MXQ_LAYOUT_GGML, 3, 33, &codes, &scales) && codes == 3 * 2 * 17 && scales == 0);
  ck_assert(mxq_layout_sizes(MXQ_LAYOUT_LE24, 3, 33, &codes, &scales) && codes == 3 * 2 * 24 && scales == 6);
  ck_assert(!mxq_layout_sizes(MXQ_LAYOUT_UNPACKED, UINT64_C(1) << 40, UINT64_C(1) << 23, &codes, &scales) && codes == 3 * 2 * 24);
  for (int s = 0; s < MXQ_SWIZZLE_COUNT; s++) {
    enum mxq_swizzle back;
    ck_assert(mxq_swizzle_parse(mxq_swizzle_name((enum mxq_swizzle)s), &back) && (int)back == s);
  }
  ck_assert(mxq_swizzle_name(MXQ_SWIZZLE_COUNT) == NULL);
}
END_TEST

/* Rows and lengths: below, at and above a block; rows that end in one; odd numbers of blocks; more than a chunk and a piece. */
static const struct { size_t rows, k; } shapes[] = {{1, 1}, {1, 32}, {3, 31}, {2, 64}, {5, 33}, {7, 160}, {3, 517}, {1, 96}, {1, 32 * 521}, {2, 32 * 4099 + 5}};
enum { SHAPES = sizeof shapes / sizeof shapes[0], SMALL = SHAPES - 1 };

/* From one layout to another with what the arguments say of strides and addresses, compared with the definition; the gaps stay as they are. */
static void check_pair(const struct matrix *m, enum mxq_layout from, enum mxq_layout to, size_t gap, size_t off, bool at_end, bool junk, unsigned threads) {
  const size_t row_blocks = (size_t)mxq_row_blocks(m->k), blocks = blocks_of(m);
  const size_t fs = row_blocks * mxq_layout_block_bytes(from), ts = row_blocks * mxq_layout_block_bytes(to);
  const bool dense = gap == 0;
  const struct mxq_relayout_rows shape = {m->rows, m->k, dense ? 0 : fs + gap, dense ? 0 : row_blocks + gap, dense ? 0 : ts + gap, dense ? 0 : row_blocks + gap};
  const size_t last = m->rows ? m->rows - 1 : 0;
  struct room in = room_alloc(last * (fs + gap) + fs, off, at_end), in_s = room_alloc(last * (row_blocks + gap) + row_blocks, off, at_end);
  struct room out = room_alloc(last * (ts + gap) + ts, off + 1, at_end), out_s = room_alloc(last * (row_blocks + gap) + row_blocks, off, at_end);
  struct room want = room_alloc(last * (ts + gap) + ts, off + 1, at_end);
  lay(m, from, in.data, fs + gap);
  lay(m, to, want.data, ts + gap);
  for (size_t b = 0; b < blocks; b++) in_s.data[b / row_blocks * (row_blocks + gap) + b % row_blocks] = m->scales[b];
  if (junk) { /* bits above unpacked codes, and codes of the padding, mean nothing */
    const unsigned bits = mxq_element_bits(mxq_format_element(m->format));
    for (size_t b = 0; b < blocks; b++)
      for (unsigned i = 0; i < 32; i++) {
        uint8_t *p = in.data + b / row_blocks * (fs + gap) + b % row_blocks * mxq_layout_block_bytes(from);
        if (from == MXQ_LAYOUT_UNPACKED) p[i] |= (uint8_t)(any() << bits);
        if (b % row_blocks == row_blocks - 1 && b % row_blocks * 32 + i >= m->k)
          for (unsigned bit = 0, n, byte, shift; bit < bits; bit += n) {
            n = place(from, bits, i, bit, &byte, &shift);
            p[byte] |= (uint8_t)((any() & ((1u << n) - 1)) << shift);
          }
      }
  }
  struct mxq_error err = {0};
  mxq_pool *pool = mxq_pool_create(threads);
  ck_assert_msg(mxq_relayout(m->format, from, in.data, in_s.data, &shape, to, out.data, out_s.data, mxq_pool_runner(pool), &err) == MXQ_OK, "%s", err.text);
  ck_assert_msg(memcmp(out.data, want.data, last * (ts + gap) + ts) == 0, "%s, %s to %s, %zu x %zu, gap %zu, threads %u",
                mxq_format_name(m->format), mxq_layout_name(from), mxq_layout_name(to), m->rows, m->k, gap, threads);
  for (size_t b = 0; b < blocks && !mxq_layout_has_scales(to); b++)
    ck_assert_uint_eq(out_s.data[b / row_blocks * (row_blocks + gap) + b % row_blocks], m->scales[b]);
  if (at_end) ck_assert(out.data[-1] == 0xa5 && out_s.data[-1] == 0xa5);
  else ck_assert(out.data[last * (ts + gap) + ts] == 0xa5 && out_s.data[last * (row_blocks + gap) + row_blocks] == 0xa5);
  room_free(&in);
  mxq_pool_free(pool);
  room_free(&in_s);
  room_free(&out);
  room_free(&out_s);
  room_free(&want);
}

START_TEST(every_layout_becomes_every_other_as_defined) {
  size_t pairs = 0;
  FOR_FORMATS(f)
    for (size_t s = 0; s < SHAPES; s++) {
      struct matrix m = matrix((enum mxq_format)f, shapes[s].rows, shapes[s].k);
      FOR_LEVELS
        FOR_LAYOUTS(from, f)
          FOR_LAYOUTS(to, f) {
            check_pair(&m, (enum mxq_layout)from, (enum mxq_layout)to, 0, 0, true, false, 1);
            check_pair(&m, (enum mxq_layout)from, (enum mxq_layout)to, s % 2 ? 3 : 0, s * 7 % 61, false, true, s >= SMALL ? 3 : 1);
            pairs++;
          }
      matrix_free(&m);
    }
  ck_assert_uint_eq(pairs, (36 + 9 + 9 + 3) * 2 * SHAPES);
}
END_TEST

/* Through three layouts and back to the first one; every stage has its own odd address and ends at a page that must not be touched. */
START_TEST(any_chain_of_three_layouts_and_back_is_the_identity) {
  size_t chains = 0;
  FOR_FORMATS(f)
    for (size_t s = 0; s < SMALL; s++) {
      struct matrix m = matrix((enum mxq_format)f, shapes[s].rows, shapes[s].k);
      const size_t blocks = blocks_of(&m);
      const struct mxq_relayout_rows shape = {.rows = m.rows, .k = m.k};
      struct room codes[4], scales[4];
      for (int i = 0; i < 4; i++) {
        codes[i] = room_alloc(blocks * 32, 0, true);
        scales[i] = room_alloc(blocks, 0, true);
      }
      FOR_LEVELS
        FOR_LAYOUTS(a, f)
          FOR_LAYOUTS(b, f)
            FOR_LAYOUTS(c, f) {
              const enum mxq_layout chain[] = {(enum mxq_layout)a, (enum mxq_layout)b, (enum mxq_layout)c, (enum mxq_layout)a};
              uint8_t *p[4]; /* each ends where its room ends */
              for (int i = 0; i < 4; i++) {
                p[i] = codes[i].data + blocks * (32 - mxq_layout_block_bytes(chain[i]));
                memset(codes[i].data, 0xa5, blocks * 32);
                memset(scales[i].data, 0xa5, blocks);
              }
              lay(&m, chain[0], p[0], (size_t)mxq_row_blocks(m.k) * mxq_layout_block_bytes(chain[0]));
              memcpy(scales[0].data, m.scales, blocks);
              for (int i = 0; i < 3; i++)
                ck_assert_int_eq(mxq_relayout(m.format, chain[i], p[i], scales[i].data, &shape, chain[i + 1], p[i + 1], scales[i + 1].data, NULL, NULL), MXQ_OK);
              ck_assert_int_eq(memcmp(p[3], p[0], blocks * mxq_layout_block_bytes(chain[0])), 0);
              if (!mxq_layout_has_scales(chain[0])) ck_assert_int_eq(memcmp(scales[3].data, m.scales, blocks), 0);
              chains++;
            }
      for (int i = 0; i < 4; i++) {
        room_free(&codes[i]);
        room_free(&scales[i]);
      }
      matrix_free(&m);
    }
  ck_assert_uint_eq(chains, (216 + 27 + 27 + 3) * 2 * SMALL);
}
END_TEST

START_TEST(results_larger_than_caches_are_the_same) {
  static const struct { enum mxq_format f; enum mxq_layout from, to; size_t rows, k; } jobs[] = {
    {MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_GGML, 3, 11000000}, {MXQ_MXFP4, MXQ_LAYOUT_GGML, MXQ_LAYOUT_FBGEMM, 1, 33000000},
    {MXQ_MXFP4, MXQ_LAYOUT_FBGEMM, MXQ_LAYOUT_EVEN_HIGH, 700, 50016}, {MXQ_MXFP6_E2M3, MXQ_LAYOUT_LE24, MXQ_LAYOUT_PLANES, 3, 8000017},
    {MXQ_MXFP6_E3M2, MXQ_LAYOUT_PLANES, MXQ_LAYOUT_UNPACKED, 40, 500000}, {MXQ_MXINT8, MXQ_LAYOUT_BYTES, MXQ_LAYOUT_BYTES, 5, 4000001}};
  for (size_t j = 0; j < sizeof jobs / sizeof jobs[0]; j++) {
    struct matrix m = matrix(jobs[j].f, jobs[j].rows, jobs[j].k);
    check_pair(&m, jobs[j].from, jobs[j].to, j % 3 == 2 ? 5 : 0, 13 * j, j % 2 == 0, j % 2, j % 2 ? 3 : 1);
    matrix_free(&m);
  }
}
END_TEST

START_TEST(codes_move_without_scales_where_these_lie_elsewhere_and_only_there) {
  struct matrix m = matrix(MXQ_MXFP4, 2, 70);
  const struct mxq_relayout_rows shape = {.rows = 2, .k = 70}, none = {.rows = 0, .k = 70}, huge = {.rows = SIZE_MAX / 2, .k = 70};
  uint8_t a[6 * 32], b[6 * 32], want[6 * 32], scales[6] = {1, 2, 3, 4, 5, 6};
  lay(&m, MXQ_LAYOUT_EVEN_LOW, a, 48);
  lay(&m, MXQ_LAYOUT_SPLIT_16, want, 48);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, a, NULL, &shape, MXQ_LAYOUT_SPLIT_16, b, scales, NULL, NULL), MXQ_OK);
  ck_assert_int_eq(memcmp(b, want, 96), 0);
  ck_assert_uint_eq(scales[0], 1);
  struct mxq_error err;
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, a, NULL, &shape, MXQ_LAYOUT_GGML, b, scales, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_FBGEMM, a, scales, &shape, MXQ_LAYOUT_EVEN_LOW, b, NULL, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_FBGEMM, a, NULL, &shape, MXQ_LAYOUT_GGML, b, NULL, NULL, &err), MXQ_OK);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_LE24, a, scales, &shape, MXQ_LAYOUT_GGML, b, scales, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP6_E2M3, MXQ_LAYOUT_LE24, a, scales, &shape, MXQ_LAYOUT_BYTES, b, scales, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_relayout(MXQ_FORMAT_NONE, MXQ_LAYOUT_BYTES, a, scales, &shape, MXQ_LAYOUT_BYTES, b, scales, NULL, NULL), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, a, NULL, &huge, MXQ_LAYOUT_SPLIT_16, b, NULL, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, NULL, NULL, &none, MXQ_LAYOUT_SPLIT_16, NULL, NULL, NULL, &err), MXQ_OK);
  matrix_free(&m);
}
END_TEST

/* ---- swizzles ------------------------------------------------------------------------------------------------------------------- */

static size_t swizzled_at(enum mxq_swizzle swizzle, size_t columns, size_t r, size_t c) {
  if (swizzle == MXQ_SWIZZLE_NONE) return r * columns + c;
  if (swizzle == MXQ_SWIZZLE_NVIDIA) return ((r / 128) * ((columns + 3) / 4) + c / 4) * 512 + (r % 32) * 16 + (r % 128) / 32 * 4 + c % 4;
  return (((((r / 32) * (columns / 8) + c / 8) * 4 + c % 4) * 16 + r % 16) * 2 + c % 8 / 4) * 2 + r % 32 / 16;
}

static void check_swizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, size_t gap, bool at_end, unsigned threads) {
  uint64_t bytes;
  ck_assert_int_eq(mxq_swizzle_bytes(swizzle, rows, columns, &bytes, NULL), MXQ_OK);
  const size_t stride = columns + gap, all = (rows - 1) * stride + columns;
  struct room in = room_alloc(all, 3, at_end), made = room_alloc(bytes, 1, at_end), back = room_alloc(all, 5, at_end);
  uint8_t *want = calloc(bytes, 1);
  mxq_pool *pool = mxq_pool_create(threads);
  for (size_t i = 0; i < rows * columns; i++) want[swizzled_at(swizzle, columns, i / columns, i % columns)] = in.data[i / columns * stride + i % columns] = any();
  ck_assert_int_eq(mxq_scales_swizzle(swizzle, rows, columns, in.data, gap ? stride : 0, made.data, mxq_pool_runner(pool), NULL), MXQ_OK);
  ck_assert_msg(memcmp(made.data, want, bytes) == 0, "%s %zu x %zu", mxq_swizzle_name(swizzle), rows, columns);
  ck_assert_int_eq(mxq_scales_unswizzle(swizzle, rows, columns, made.data, back.data, gap ? stride : 0, mxq_pool_runner(pool), NULL), MXQ_OK);
  ck_assert_msg(memcmp(back.data, in.data, all) == 0, "%s %zu x %zu and back", mxq_swizzle_name(swizzle), rows, columns);
  ck_assert(at_end ? back.data[-1] == 0xa5 && made.data[-1] == 0xa5 : back.data[all] == 0xa5 && made.data[bytes] == 0xa5);
  mxq_pool_free(pool);
  free(want);
  room_free(&in);
  room_free(&made);
  room_free(&back);
}

START_TEST(swizzled_scales_lie_as_defined_and_come_back) {
  for (size_t rows = 1; rows < 300; rows += rows % 32 == 31 || rows % 32 == 0 ? 1 : 31 - rows % 32)
    for (size_t columns = 1; columns < 90; columns += columns < 20 ? 1 : 7) {
      check_swizzle(MXQ_SWIZZLE_NVIDIA, rows, columns, 0, true, 1);
      check_swizzle(MXQ_SWIZZLE_NVIDIA, rows, columns, 5, false, 3);
      check_swizzle(MXQ_SWIZZLE_NONE, rows, columns, rows % 3, columns % 2, 1);
    }
  for (size_t rows = 32; rows < 200; rows += 32)
    for (size_t columns = 8; columns < 200; columns += 8) {
      check_swizzle(MXQ_SWIZZLE_AMD, rows, columns, 0, true, 1);
      check_swizzle(MXQ_SWIZZLE_AMD, rows, columns, 3, false, 3);
    }
  check_swizzle(MXQ_SWIZZLE_NVIDIA, 1025, 2731, 0, true, 2);
  check_swizzle(MXQ_SWIZZLE_AMD, 1024, 2736, 0, true, 2);
  /* larger than caches; the last two so that rows begin where cache lines do */
  check_swizzle(MXQ_SWIZZLE_NVIDIA, 6145, 2731, 0, false, 2);
  check_swizzle(MXQ_SWIZZLE_NVIDIA, 6144, 2752, 0, true, 1);
  check_swizzle(MXQ_SWIZZLE_AMD, 6144, 2752, 0, true, 2);
  check_swizzle(MXQ_SWIZZLE_NVIDIA, 6145, 2752, 16, true, 1); /* the first row does, the others do not */
}
END_TEST

START_TEST(sizes_that_a_swizzle_does_not_take_are_refused) {
  struct mxq_error err = {0};
  uint64_t bytes = 7;
  uint8_t byte = 0;
  ck_assert_int_eq(mxq_swizzle_bytes(MXQ_SWIZZLE_AMD, 33, 8, &bytes, &err), MXQ_ERR_USAGE);
  ck_assert(strstr(err.text, "33 x 8") != NULL && bytes == 7);
  ck_assert_int_eq(mxq_scales_swizzle(MXQ_SWIZZLE_AMD, 32, 12, &byte, 0, &byte, NULL, NULL), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_scales_unswizzle(MXQ_SWIZZLE_AMD, 16, 8, &byte, &byte, 0, NULL, NULL), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_swizzle_bytes(MXQ_SWIZZLE_NVIDIA, UINT64_MAX - 5, 1, &bytes, NULL), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_swizzle_bytes(MXQ_SWIZZLE_NVIDIA, UINT64_C(1) << 40, UINT64_C(1) << 30, &bytes, NULL), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_swizzle_bytes(MXQ_SWIZZLE_COUNT, 1, 1, &bytes, NULL), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_swizzle_bytes(MXQ_SWIZZLE_NVIDIA, 129, 5, &bytes, NULL), MXQ_OK);
  ck_assert_uint_eq(bytes, 256 * 8);
  ck_assert_int_eq(mxq_scales_swizzle(MXQ_SWIZZLE_NVIDIA, 0, 4, NULL, 0, NULL, NULL, NULL), MXQ_OK);
}
END_TEST

int main(void) {
  Suite *s = suite_create("layout");
  TCase *c = tcase_create("layout");
  tcase_set_timeout(c, 120);
  tcase_add_test(c, layouts_and_swizzles_have_names_and_sizes);
  tcase_add_test(c, every_layout_becomes_every_other_as_defined);
  tcase_add_test(c, any_chain_of_three_layouts_and_back_is_the_identity);
  tcase_add_test(c, results_larger_than_caches_are_the_same);
  tcase_add_test(c, codes_move_without_scales_where_these_lie_elsewhere_and_only_there);
  tcase_add_test(c, swizzled_scales_lie_as_defined_and_come_back);
  tcase_add_test(c, sizes_that_a_swizzle_does_not_take_are_refused);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
