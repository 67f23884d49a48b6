/* SPDX-License-Identifier: MIT */
/* Who does the work: pools, and runners of the caller's own. */
#include <check.h>
#include <mxq/mxq.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "lib/base/pool.h"

enum { ROWS = 513, K = 1000, BLOCKS = 32 };
static float x[ROWS * K], y[ROWS * K], want_y[ROWS * K];
static uint8_t codes[ROWS * BLOCKS * 16], want_codes[sizeof codes], scales[ROWS * BLOCKS], want_scales[sizeof scales], blocks[ROWS * BLOCKS * 17];

static void make(void) {
  for (size_t i = 0; i < ROWS * K; i++) x[i] = (float)((int)(i * 2654435761u >> 8 & 0xFFFF) - 0x8000) * (float)(1 + i / 32 % 7);
  const struct mxq_rows s = {.rows = ROWS, .k = K};
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, x, &s, want_codes, want_scales, NULL, NULL, NULL, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_decode(MXQ_MXFP4, MXQ_F32, want_codes, want_scales, &s, want_y, NULL, NULL, NULL), MXQ_OK);
}

/* Everything that takes a runner gives the same with this one. */
static void all_is_done(const struct mxq_runner *runner) {
  const struct mxq_rows s = {.rows = ROWS, .k = K};
  const struct mxq_relayout_rows moved = {.rows = ROWS, .k = K};
  struct mxq_stats stats = {0};
  memset(codes, 0, sizeof codes);
  memset(scales, 0, sizeof scales);
  memset(y, 0, sizeof y);
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, x, &s, codes, scales, NULL, runner, &stats, NULL), MXQ_OK);
  ck_assert_int_eq(memcmp(codes, want_codes, sizeof codes), 0);
  ck_assert_int_eq(memcmp(scales, want_scales, sizeof scales), 0);
  ck_assert_uint_eq(stats.elements, ROWS * K);
  ck_assert_int_eq(mxq_decode(MXQ_MXFP4, MXQ_F32, codes, scales, &s, y, runner, NULL, NULL), MXQ_OK);
  ck_assert_int_eq(memcmp(y, want_y, sizeof y), 0);
  memset(codes, 0, sizeof codes);
  memset(scales, 0, sizeof scales);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, want_codes, want_scales, &moved, MXQ_LAYOUT_GGML, blocks, NULL, runner, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_GGML, blocks, NULL, &moved, MXQ_LAYOUT_EVEN_LOW, codes, scales, runner, NULL), MXQ_OK);
  ck_assert_int_eq(memcmp(codes, want_codes, sizeof codes), 0);
  ck_assert_int_eq(memcmp(scales, want_scales, sizeof scales), 0);
  ck_assert_int_eq(mxq_scales_swizzle(MXQ_SWIZZLE_NVIDIA, ROWS, BLOCKS, want_scales, 0, blocks, runner, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_scales_unswizzle(MXQ_SWIZZLE_NVIDIA, ROWS, BLOCKS, blocks, scales, 0, runner, NULL), MXQ_OK);
  ck_assert_int_eq(memcmp(scales, want_scales, sizeof scales), 0);
}

/* A runner of the caller's own: what it was asked, and what it does. */
struct own {
  unsigned calls, most, asked;
  bool threads;
  void (*work)(void *);
  void *context;
};

static void *call(void *arg) {
  struct own *o = arg;
  o->work(o->context);
  return NULL;
}

static void run_own(void *self, unsigned threads, void (*work)(void *), void *context) {
  struct own *o = self;
  pthread_t ids[8];
  unsigned n = threads < o->most ? threads : o->most;
  ck_assert_uint_ge(threads, 2);
  ck_assert_uint_le(threads, 8);
  o->asked = threads;
  o->calls++;
  o->work = work;
  o->context = context;
  if (!o->threads) {
    for (unsigned i = 0; i < n; i++) work(context);
    return;
  }
  for (unsigned i = 0; i < n; i++) ck_assert_int_eq(pthread_create(&ids[i], NULL, call, o), 0);
  for (unsigned i = 0; i < n; i++) pthread_join(ids[i], NULL); /* the calling thread itself does nothing */
}

START_TEST(runners_of_the_callers_own_may_call_once_in_sequence_or_from_any_threads) {
  make();
  for (int threads = 0; threads < 2; threads++)
    for (unsigned most = 1; most <= 8; most += most) {
      struct own own = {.most = most, .threads = threads};
      const struct mxq_runner runner = {8, run_own, &own};
      all_is_done(&runner);
      ck_assert_uint_ge(own.calls, 4);
    }
}
END_TEST

START_TEST(work_of_one_piece_and_runners_of_one_thread_stay_in_the_calling_thread) {
  struct own own = {.most = 8};
  const struct mxq_runner one = {1, run_own, &own}, none = {0, run_own, &own}, many = {8, run_own, &own};
  make();
  all_is_done(&one);
  all_is_done(&none);
  const struct mxq_rows s = {.rows = 1, .k = 64};
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, x, &s, codes, scales, NULL, &many, NULL, NULL), MXQ_OK);
  ck_assert_uint_eq(own.calls, 0);
}
END_TEST

struct counted {
  _Atomic unsigned next, done;
  unsigned pieces;
  const struct mxq_runner *inner;
};

static void count(void *context) {
  struct counted *c = context;
  while (atomic_fetch_add(&c->next, 1) < c->pieces) {
    if (c->inner) { /* work inside work */
      struct counted small = {.pieces = 5};
      mxq_run(c->inner, small.pieces, count, &small);
      ck_assert_uint_eq(small.done, 5);
    }
    atomic_fetch_add(&c->done, 1);
  }
}

START_TEST(a_pool_is_used_a_thousand_times) {
  mxq_pool *pool = mxq_pool_create(4);
  ck_assert_uint_eq(mxq_pool_runner(pool)->threads, 4);
  for (unsigned i = 0; i < 1000; i++) {
    struct counted c = {.pieces = 1 + i % 50, .inner = i % 10 == 0 ? mxq_pool_runner(pool) : NULL};
    mxq_run(mxq_pool_runner(pool), c.pieces, count, &c);
    ck_assert_uint_eq(c.done, c.pieces);
  }
  make();
  all_is_done(mxq_pool_runner(pool));
  mxq_pool_free(pool);
  mxq_pool_free(NULL);
  ck_assert_ptr_null(mxq_pool_runner(NULL));
}
END_TEST

static void *use(void *runner) {
  for (unsigned i = 0; i < 300; i++) {
    struct counted c = {.pieces = 20};
    mxq_run(runner, c.pieces, count, &c);
    ck_assert_uint_eq(c.done, 20);
  }
  return NULL;
}

START_TEST(threads_share_a_pool) {
  mxq_pool *pool = mxq_pool_create(3);
  pthread_t ids[4];
  for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&ids[i], NULL, use, (void *)(uintptr_t)mxq_pool_runner(pool)), 0);
  for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
  mxq_pool_free(pool);
}
END_TEST

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct meeting {
  pthread_mutex_t lock;
  pthread_cond_t all;
  unsigned here;
};

static void meet(void *context) { /* comes back when four threads are here, which all block signals but the main one */
  struct meeting *m = context;
  pthread_mutex_lock(&m->lock);
  if (++m->here == 4) pthread_cond_broadcast(&m->all);
  while (m->here < 4) pthread_cond_wait(&m->all, &m->lock);
  pthread_mutex_unlock(&m->lock);
}

static pthread_t main_thread;
static _Atomic unsigned others, open_to_signals;
static void look(void *context) {
  sigset_t set;
  meet(context);
  pthread_sigmask(SIG_SETMASK, NULL, &set);
  if (pthread_equal(pthread_self(), main_thread)) return;
  others++;
  open_to_signals += !sigismember(&set, SIGINT) || !sigismember(&set, SIGTERM) || !sigismember(&set, SIGUSR1);
}

START_TEST(threads_of_a_pool_work_at_once_block_signals_and_sleep_without_work) {
  sigset_t before, after;
  main_thread = pthread_self();
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  mxq_pool *pool = mxq_pool_create(4);
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  ck_assert_int_eq(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
  ck_assert_uint_eq(mxq_pool_runner(pool)->threads, 4);
  struct meeting m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
  mxq_run(mxq_pool_runner(pool), 4, look, &m);
  ck_assert_uint_eq(others, 3);
  ck_assert_uint_eq(open_to_signals, 0);
  double used = cpu_seconds();
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  ck_assert_double_lt(cpu_seconds() - used, 0.1);
  mxq_pool_free(pool);
}
END_TEST

START_TEST(where_the_system_gives_no_threads_all_is_done_nevertheless) {
  struct rlimit old, none = {0, 0};
  make();
  getrlimit(RLIMIT_AS, &old);
  none.rlim_cur = 1 << 20; /* no room for stacks */
  none.rlim_max = old.rlim_max;
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  none = old;
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  none = old; /* they reserve address space of their own */
#endif
  setrlimit(RLIMIT_AS, &none);
  mxq_pool *pool = mxq_pool_create(3);
  setrlimit(RLIMIT_AS, &old);
  ck_assert_ptr_nonnull(pool);
  if (none.rlim_cur != old.rlim_cur) ck_assert_uint_eq(mxq_pool_runner(pool)->threads, 1);
  all_is_done(mxq_pool_runner(pool));
  mxq_pool_free(pool);
  pool = mxq_pool_create(100000);
  ck_assert_uint_le(mxq_pool_runner(pool)->threads, 256);
  all_is_done(mxq_pool_runner(pool));
  mxq_pool_free(pool);
}
END_TEST

int main(void) {
  Suite *s = suite_create("runner");
  TCase *c = tcase_create("all");
  tcase_set_timeout(c, 120);
  tcase_add_test(c, runners_of_the_callers_own_may_call_once_in_sequence_or_from_any_threads);
  tcase_add_test(c, work_of_one_piece_and_runners_of_one_thread_stay_in_the_calling_thread);
  tcase_add_test(c, a_pool_is_used_a_thousand_times);
  tcase_add_test(c, threads_share_a_pool);
  tcase_add_test(c, threads_of_a_pool_work_at_once_block_signals_and_sleep_without_work);
  tcase_add_test(c, where_the_system_gives_no_threads_all_is_done_nevertheless);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
