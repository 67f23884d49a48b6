/* SPDX-License-Identifier: MIT */
/* Small archives made in memory from a program's JSON: a zip of stored members, written by hand, and edits of the text. */
#ifndef TESTS_UNIT_HAND_ARCHIVE_H
#define TESTS_UNIT_HAND_ARCHIVE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <mxq/archive.h>

struct hand_zip {
  unsigned char data[1 << 18], directory[1 << 14];
  size_t size, directory_size;
  unsigned count;
};

static void hand_put(unsigned char **p, unsigned bytes, uint32_t value) {
  for (unsigned i = 0; i < bytes; i++)
    *(*p)++ = (unsigned char)(value >> 8 * i);
}

static void hand_add(struct hand_zip *z, const char *record, const void *data, size_t n) {
  char name[200];
  size_t length = (size_t)snprintf(name, sizeof name, "m/%s", record);
  uint32_t crc = (uint32_t)crc32(0, n ? data : (const void *)"", (uInt)n), at = (uint32_t)z->size;
  ck_assert_uint_lt(z->size + n + 400, sizeof z->data);
  for (int central = 0; central < 2; central++) {
    unsigned char *p = central ? z->directory + z->directory_size : z->data + z->size;
    hand_put(&p, 4, central ? 0x02014b50 : 0x04034b50);
    if (central)
      hand_put(&p, 2, 20);
    hand_put(&p, 2, 20);
    hand_put(&p, 4, 0);              /* flags, method: stored */
    hand_put(&p, 4, 0x00210000);     /* 1980-01-01 */
    hand_put(&p, 4, crc);
    hand_put(&p, 4, (uint32_t)n);
    hand_put(&p, 4, (uint32_t)n);
    hand_put(&p, 2, (uint32_t)length);
    hand_put(&p, 2, 0);
    if (central) {
      hand_put(&p, 2, 0);
      hand_put(&p, 2, 0);
      hand_put(&p, 2, 0);
      hand_put(&p, 4, 0);
      hand_put(&p, 4, at);
    }
    memcpy(p, name, length);
    p += length;
    if (!central && n)
      memcpy(p, data, n);
    *(central ? &z->directory_size : &z->size) += (size_t)(p - (central ? z->directory + z->directory_size : z->data + z->size)) + (central ? 0 : n);
  }
  z->count++;
}

static void hand_end(struct hand_zip *z) {
  unsigned char *p = z->data + z->size;
  ck_assert_uint_lt(z->size + z->directory_size + 100, sizeof z->data);
  memcpy(p, z->directory, z->directory_size);
  p += z->directory_size;
  hand_put(&p, 4, 0x06054b50);
  hand_put(&p, 4, 0);
  hand_put(&p, 2, z->count);
  hand_put(&p, 2, z->count);
  hand_put(&p, 4, (uint32_t)z->directory_size);
  hand_put(&p, 4, (uint32_t)z->size);
  hand_put(&p, 2, 0);
  z->size = (size_t)(p - z->data);
}

/* An archive with this program and these configs; weights are n records weight_0.. of `bytes` zeroes, constants the same. */
static struct hand_zip *hand_archive(const char *program, const char *weights, unsigned n, const char *constants, unsigned k, size_t bytes) {
  struct hand_zip *z = calloc(1, sizeof *z);
  char name[60];
  void *zeroes = calloc(1, bytes + 1);
  for (unsigned i = 0; i < n + k; i++) {
    snprintf(name, sizeof name, i < n ? "data/weights/weight_%u" : "data/constants/tensor_%u", i < n ? i : i - n);
    hand_add(z, name, zeroes, bytes);
  }
  free(zeroes);
  hand_add(z, "data/weights/model_weights_config.json", weights, strlen(weights));
  hand_add(z, "data/constants/model_constants_config.json", constants, strlen(constants));
  hand_add(z, "models/model.json", program, strlen(program));
  hand_add(z, "data/sample_inputs/model.pt", NULL, 0);
  hand_add(z, "archive_format", "pt2", 3);
  hand_add(z, "archive_version", "0", 1);
  hand_add(z, ".data/version", "3\n", 2);
  hand_add(z, "byteorder", "little", 6);
  hand_end(z);
  return z;
}

/* A copy of text with the nth `from` (0: the first) replaced; malloced. It must be there. */
__attribute__((unused)) static char *hand_edit(const char *text, const char *from, const char *to, unsigned nth) {
  const char *at = strstr(text, from);
  for (; at && nth; nth--)
    at = strstr(at + 1, from);
  ck_assert_msg(at != NULL, "not in the text: %s", from);
  char *edited = malloc(strlen(text) + strlen(to) + 1);
  sprintf(edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  return edited;
}

#endif
