/* SPDX-License-Identifier: MIT */
/* Rules: reading a file of them, and matching tensors' names. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/convert/job.h"

/* Steps and memory (KiB) that one match may take: far above what a name needs, far below what hurts. */
#define MATCH_LIMIT 1000000
#define HEAP_LIMIT (16 * 1024)

struct mxq_matcher {
  const struct mxq_rule *rules;
  size_t count;
  pcre2_code **codes;
  bool *used;
  pcre2_match_data *data;
  pcre2_match_context *context;
};

static enum mxq_status compile(const char *regex, pcre2_code **code, struct mxq_error *err) {
  int number = 0;
  PCRE2_SIZE offset = 0;
  *code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);
  if (*code)
    return MXQ_OK;
  if (number == PCRE2_ERROR_NOMEMORY || number == 121 /* "failed to allocate heap memory" */)
    return mxq_fail_nomem(err, regex);
  PCRE2_UCHAR words[200] = "";
  pcre2_get_error_message(number, words, sizeof words);
  return mxq_fail_at(err, MXQ_ERR_USAGE, regex, offset, "the regular expression is wrong at character %zu: %s", (size_t)offset,
                     (const char *)words);
}

enum mxq_status mxq_matcher_open(const struct mxq_rule *rules, size_t count, struct mxq_matcher **out, struct mxq_error *err) {
  *out = NULL;
  struct mxq_matcher *m = calloc(1, sizeof *m);
  if (!m)
    return mxq_fail_nomem(err, "rules");
  enum mxq_status status = MXQ_OK;
  m->rules = rules;
  m->codes = calloc(count ? count : 1, sizeof *m->codes);
  m->used = calloc(count ? count : 1, sizeof *m->used);
  m->data = pcre2_match_data_create(1, NULL);
  m->context = pcre2_match_context_create(NULL);
  if (!m->codes || !m->used || !m->data || !m->context)
    status = mxq_fail_nomem(err, "rules");
  if (status == MXQ_OK) {
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT);
  }
  for (size_t i = 0; status == MXQ_OK && i < count; i++) {
    status = compile(rules[i].regex, &m->codes[i], err);
    if (status == MXQ_OK)
      m->count++;
  }
  if (status != MXQ_OK) {
    mxq_matcher_close(m);
    return status;
  }
  *out = m;
  return MXQ_OK;
}

enum mxq_status mxq_matcher_find(struct mxq_matcher *m, const char *name, size_t *rule, struct mxq_error *err) {
  *rule = SIZE_MAX;
  for (size_t i = 0; i < m->count; i++) {
    if (m->used[i] && *rule != SIZE_MAX)
      continue;
    int r = pcre2_match(m->codes[i], (PCRE2_SPTR)name, PCRE2_ZERO_TERMINATED, 0, 0, m->data, m->context);
    if (r == PCRE2_ERROR_NOMEMORY)
      return mxq_fail_nomem(err, name);
    if (r < 0 && r != PCRE2_ERROR_NOMATCH) {
      PCRE2_UCHAR words[200] = "";
      pcre2_get_error_message(r, words, sizeof words);
      return mxq_fail(err, MXQ_ERR_USAGE, name, "rule '%s' cannot be matched against this name: %s", m->rules[i].regex,
                      (const char *)words);
    }
    if (r >= 0) {
      m->used[i] = true;
      if (*rule == SIZE_MAX)
        *rule = i;
    }
  }
  return MXQ_OK;
}

size_t mxq_matcher_unused(const struct mxq_matcher *m) {
  for (size_t i = 0; i < m->count; i++)
    if (!m->used[i])
      return i;
  return SIZE_MAX;
}

void mxq_matcher_close(struct mxq_matcher *m) {
  if (!m)
    return;
  for (size_t i = 0; i < m->count; i++)
    pcre2_code_free(m->codes[i]);
  free(m->codes);
  free(m->used);
  pcre2_match_data_free(m->data);
  pcre2_match_context_free(m->context);
  free(m);
}

/* "axes": [first, last] */
static bool read_axes(const cJSON *pair, struct mxq_rule *rule) {
  const cJSON *ends[2] = {cJSON_GetArrayItem(pair, 0), cJSON_GetArrayItem(pair, 1)};
  if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2)
    return false;
  for (int i = 0; i < 2; i++)
    if (!cJSON_IsNumber(ends[i]) || ends[i]->valuedouble < -MXQ_MAX_NDIM || ends[i]->valuedouble >= MXQ_MAX_NDIM ||
        ends[i]->valuedouble != ends[i]->valueint)
      return false;
  rule->has_axes = true;
  rule->axis_first = ends[0]->valueint;
  rule->axis_last = ends[1]->valueint;
  return true;
}

/* One item of the file. Its expression is not ended: *len says how long it is. */
static enum mxq_status read_rule(const cJSON *item, size_t number, struct mxq_rule *rule, size_t *len, struct mxq_error *err) {
  const char *name = NULL;
  *rule = (struct mxq_rule){0};
  if (cJSON_IsString(item)) {
    const char *equals = strrchr(item->valuestring, '=');
    if (!equals)
      return mxq_fail(err, MXQ_ERR_MALFORMED, NULL, "rule %zu: '%s' has no '=': a rule is REGEX=FORMAT", number, item->valuestring);
    rule->regex = item->valuestring;
    *len = (size_t)(equals - item->valuestring);
    name = equals + 1;
  } else if (cJSON_IsObject(item)) {
    const cJSON *expression = cJSON_GetObjectItemCaseSensitive(item, "regex"), *what = cJSON_GetObjectItemCaseSensitive(item, "format");
    const cJSON *axes = cJSON_GetObjectItemCaseSensitive(item, "axes");
    if (!cJSON_IsString(expression) || !cJSON_IsString(what) || cJSON_GetArraySize(item) != (axes ? 3 : 2))
      return mxq_fail(err, MXQ_ERR_MALFORMED, NULL,
                      "rule %zu: an object holds the two texts \"regex\" and \"format\", perhaps \"axes\", and nothing else", number);
    if (axes && !read_axes(axes, rule))
      return mxq_fail(err, MXQ_ERR_MALFORMED, NULL, "rule %zu: \"axes\" is not a pair [first, last] of axes, such as [1, 3] or [-1, -1]", number);
    rule->regex = expression->valuestring;
    *len = strlen(rule->regex);
    name = what->valuestring;
  } else {
    return mxq_fail(err, MXQ_ERR_MALFORMED, NULL, "rule %zu is neither a text REGEX=FORMAT nor an object", number);
  }
  if (!mxq_format_parse(name, &rule->format))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL,
                    "rule %zu: unknown format '%s'; formats are mxfp4, mxfp6-e2m3, mxfp6-e3m2, mxfp8-e4m3, mxfp8-e5m2, mxint8, none",
                    number, name);
  return MXQ_OK;
}

enum mxq_status mxq_rules_parse(const char *json, size_t n, struct mxq_rule **rules, size_t *count, struct mxq_error *err) {
  *rules = NULL;
  *count = 0;
  enum mxq_status status = mxq_json_check(json, n, err);
  if (status != MXQ_OK)
    return status;
  cJSON *tree = cJSON_ParseWithLength(json, n);
  if (!tree)
    return mxq_fail_nomem(err, "rules"); /* the text is valid, so nothing else can have failed */
  if (!cJSON_IsArray(tree)) {
    cJSON_Delete(tree);
    return mxq_fail(err, MXQ_ERR_MALFORMED, NULL, "the rules are not a JSON array of texts REGEX=FORMAT or objects");
  }
  size_t number = 0, texts = 0;
  const cJSON *item;
  struct mxq_rule rule;
  size_t len = 0;
  cJSON_ArrayForEach(item, tree) {
    status = read_rule(item, ++number, &rule, &len, err);
    if (status != MXQ_OK)
      goto done;
    texts += len + 1;
  }
  /* Texts are part of the document, so that the sum cannot overflow. */
  struct mxq_rule *list = malloc(number * sizeof *list + texts + 1);
  if (!list) {
    status = mxq_fail_nomem(err, "rules");
    goto done;
  }
  char *text = (char *)(list + number);
  number = 0;
  cJSON_ArrayForEach(item, tree) {
    status = read_rule(item, number + 1, &rule, &len, err);
    if (status != MXQ_OK) {
      free(list);
      goto done;
    }
    memcpy(text, rule.regex, len);
    text[len] = 0;
    rule.regex = text;
    list[number++] = rule;
    text += len + 1;
  }
  *rules = list;
  *count = number;
done:
  cJSON_Delete(tree);
  return status;
}
