# SPDX-License-Identifier: MIT
"""The little there is to say about running tests: a name that is a sentence, checks that are counted, the command under test."""
import json
import os
import subprocess
import tempfile
import time
import traceback

MXQUANT = os.environ.get('MXQUANT', '')
SHARED = os.environ.get('MXQ_SHARED', '')
TESTS = []


class Failure(Exception):
    pass


def test(sentence):
    def add(fn):
        TESTS.append((sentence, fn))
        return fn
    return add


class Checks:
    """Counts; keeps the first few failures and goes on, so that one run shows them all."""

    def __init__(self):
        self.done, self.bad, self.notes = 0, [], []

    def __call__(self, condition, text):
        self.done += 1
        if not condition:
            self.bad.append(str(text))
        return bool(condition)

    def equal(self, got, want, text):
        return self(got == want, f'{text}: {got!r:.300}, expected {want!r:.300}')

    def note(self, text):
        self.notes.append(text)


def mxq(*args, code=0, stdin=None, cwd=None, env=None):
    """Runs the command; a wrong exit code is a Failure that quotes it. code=None accepts any."""
    done = subprocess.run([MXQUANT, *map(os.fspath, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin or subprocess.DEVNULL,
                          cwd=cwd, env=env, timeout=300)
    if code is not None and done.returncode != code:
        raise Failure(f'mxquant {" ".join(map(str, args))}: exit {done.returncode}, {code} expected: '
                      f'{(done.stderr or done.stdout).decode(errors="replace").strip()[:400]}')
    return done


def mxq_json(*args, code=0):
    out = mxq(*args, '--json', code=code).stdout
    try:
        return json.loads(out, parse_constant=lambda c: (_ for _ in ()).throw(ValueError(f'{c} is no JSON')))
    except ValueError as error:
        raise Failure(f'mxquant {" ".join(map(str, args))} --json: {error}: {out[:200]!r}')


def run_all(only):
    passed = failed = 0
    checks = 0
    for sentence, fn in TESTS:
        if only and not any(o in sentence or o == fn.__module__ for o in only):
            continue
        c, start = Checks(), time.time()
        with tempfile.TemporaryDirectory(prefix='mxq-interop-') as folder:
            try:
                fn(c, folder)
                if not c.done:
                    c.bad.append('checked nothing')
            except Failure as error:
                c.bad.append(str(error))
            except Exception:
                c.bad.append(traceback.format_exc(limit=-4))
        checks += c.done
        good = not c.bad
        passed, failed = passed + good, failed + (not good)
        print(f'{"ok  " if good else "FAIL"} {sentence}  [{c.done} checks, {time.time() - start:.1f} s]', flush=True)
        for text in c.notes:
            print('#      ' + text, flush=True)
        for text in c.bad[:6]:
            print('     ! ' + text.replace('\n', '\n       ')[:1800], flush=True)
        if len(c.bad) > 6:
            print(f'     ! and {len(c.bad) - 6} more', flush=True)
    print(f'{passed} passed, {failed} failed ({checks} checks)', flush=True)
    return failed
