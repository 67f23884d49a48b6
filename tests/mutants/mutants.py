#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks one comparison, constant, shuffle or shift of the kernels at a time and shows whether the tests see it.

Mutants are made by rules (rules.py) from the source as it stands, a sample of each file's by a seed. One that changes no object code is not
counted. What several rows include is broken in one row after the other, in an order that the mutant gives, until the tests see it. Survivors that
compute the same are explained in equivalent.txt, by the exact text of the line; any other survivor makes the exit code 1.
"""
import argparse, concurrent.futures, glob, os, random, re, shutil, signal, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import rules

FILES = ["lib/kernels/*.h", "lib/kernels/recipe.c", "lib/codec/numerics.c"]
DECLARATIONS = {"lib/kernels/kernels.h", "lib/kernels/recipe.h", "lib/kernels/element.h"}
# Fast ones first; what kills nothing the others leave stands at the end.
TESTS = ["check/test_memory", "check/test_rows", "check/test_any", "check/test_rules", "check/test_sweep", "golden/test_elements", "golden/test_golden",
         "golden/test_peers", "golden/test_nonfinite", "unit/test_numerics", "unit/test_codec"]


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


class Build:
    """What make knows: the command of each object, and what it includes."""

    def __init__(self, where, cflags):
        self.where, self.make = os.path.abspath(where), ["make", "-C", ROOT, "B=" + os.path.abspath(where), "CFLAGS=" + cflags, "V=1"]
        made = run(self.make + [f"{self.where}/tests/{t}" for t in TESTS])
        if made.returncode:
            sys.exit(made.stdout[-3000:] + "The unbroken source does not build.")
        self.objects = {}
        for d in glob.glob(self.where + "/obj/lib/kernels/*.d") + glob.glob(self.where + "/obj/lib/codec/*.d"):
            source = "lib" + d[len(self.where + "/obj/lib"):-2] + ".c"
            words = open(d).read().replace("\\\n", " ").split()
            self.objects[source] = {os.path.normpath(w) for w in words if not w.endswith(":")}
        self.commands, self.links = {}, {}

    def command(self, source):
        """How make compiles it, the output left out."""
        if source not in self.commands:
            lines = run(self.make + ["-n", "-W", source, f"{self.where}/obj/{source[:-2]}.o"]).stdout.splitlines()
            line = next(l for l in lines if f" -c {source} " in l + " ")
            self.commands[source] = re.sub(r" -MMD| -MP| -g\b| -o \S+", "", line.strip()).split() + ["-g0"]
        return self.commands[source]

    def link(self, test):
        if test not in self.links:
            lines = run(self.make + ["-n", "-W", f"{self.where}/libmxq.a", f"{self.where}/tests/{test}"]).stdout.splitlines()
            line = next(l for l in reversed(lines) if f" -o {self.where}/tests/{test}" in l)
            self.links[test] = line.strip().split()
        return self.links[test]

    def sources_of(self, file):
        return sorted(s for s, deps in self.objects.items() if file in deps and "reference" not in s)


def compile_in(build, tree, source, out):
    return run(build.command(source) + ["-o", out], cwd=tree).returncode == 0


def passes(build, test, objects, scratch, limit):
    """Whether the test passes with these objects in front of the library; it is stopped at its first failure."""
    program = f"{scratch}/{os.path.basename(test)}"
    line = [w for w in build.link(test)]
    line[line.index("-o") + 1] = program
    at = line.index(f"{build.where}/libmxq.a")
    if run(line[:at] + objects + line[at:], cwd=ROOT).returncode:
        return False
    tap = program + ".tap"
    open(tap, "w").close()
    child = subprocess.Popen([program], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                             env={**os.environ, "CK_TAP_LOG_FILE_NAME": tap, "CK_TIMEOUT_MULTIPLIER": "5"})
    end = time.time() + limit
    failed = False
    while child.poll() is None and not failed:
        time.sleep(0.05)
        failed = time.time() > end or "\nnot ok" in "\n" + open(tap).read()
    if failed:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
    return not failed and child.returncode == 0


class Mutation:
    def __init__(self, build, arguments):
        self.build, self.a = build, arguments
        self.local, self.lock, self.base = threading.local(), threading.Lock(), {}

    def tree(self):
        """A copy of the sources for each worker."""
        if not hasattr(self.local, "tree"):
            self.local.tree = tempfile.mkdtemp(prefix="tree-", dir=self.build.where)
            for folder in ("lib", "include"):
                shutil.copytree(f"{ROOT}/{folder}", f"{self.local.tree}/{folder}")
        return self.local.tree

    def base_of(self, source):
        with self.lock:
            if source not in self.base:
                out = f"{self.build.where}/base-{os.path.basename(source)}.o"
                if not compile_in(self.build, ROOT, source, out):
                    sys.exit(f"{source} does not compile")
                self.base[source] = open(out, "rb").read()
            return self.base[source]

    def judge(self, m):
        """'killed by TEST', 'survived', 'same code' or 'does not compile', and the rows whose code changed."""
        tree, scratch = self.tree(), tempfile.mkdtemp(dir=self.build.where)
        path = f"{tree}/{m.file}"
        text = open(path).read()
        lines = text.split("\n")
        try:
            if lines[m.line] != m.before:
                sys.exit(f"{m.file}:{m.line + 1} has changed while mutants ran")
            lines[m.line] = m.after
            open(path, "w").write("\n".join(lines))
            order = self.build.sources_of(m.file)
            random.Random(m.key()).shuffle(order)
            changed = []
            for source in order:
                out = f"{scratch}/{os.path.basename(source)}.o"
                if not compile_in(self.build, tree, source, out):
                    return "does not compile", []
                if open(out, "rb").read() == self.base_of(source):
                    continue
                changed.append((source, out))
                killer = self.killer([out], scratch)
                if killer:
                    return "killed by " + killer, [source]
                if len(changed) == 1 and m.equivalent():
                    return "survived", [source]
            if not changed:
                return "same code", []
            return "survived", [s for s, _ in changed]
        finally:
            open(path, "w").write(text)
            shutil.rmtree(scratch)

    def killer(self, objects, scratch):
        for test in TESTS:
            if not passes(self.build, test, objects, scratch, self.a.limit):
                return os.path.basename(test)[5:]
        return None


def equivalents():
    """{(file, before, after): why} of equivalent.txt; an entry whose line is gone from the file ends the run."""
    found, entry = {}, []
    for line in open(f"{HERE}/equivalent.txt").read().split("\n") + [""]:
        if line.startswith("#"):
            continue
        if line:
            entry.append(line)
            continue
        if entry:
            file, before, after, why = entry[0], entry[1][2:], entry[2][2:], " ".join(entry[3:])
            if before not in [l.strip() for l in open(f"{ROOT}/{file}").read().split("\n")]:
                sys.exit(f"equivalent.txt explains a line that {file} no longer has: {before}")
            found[(file, before, after)] = why
            entry = []
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=f"{ROOT}/build/mutants", help="folder to build in")
    p.add_argument("--cflags", default="-O1", help="of everything")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=8, help="mutants of each file; 0: all")
    p.add_argument("--only", default="", help="files whose name has this")
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--limit", type=float, default=900, help="seconds a test may take; one that takes longer has seen the mutant")
    p.add_argument("--list", action="store_true", help="only show the mutants")
    a = p.parse_args()
    why = equivalents()
    chosen = []
    for file in sorted({os.path.relpath(f, ROOT) for pattern in FILES for f in glob.glob(f"{ROOT}/{pattern}")}):
        if a.only not in file or file in DECLARATIONS:
            continue
        every = rules.mutants(file, open(f"{ROOT}/{file}").read(), why)
        chosen += every if a.count == 0 or len(every) <= a.count else random.Random(f"{a.seed} {file}").sample(every, a.count)
    if a.list:
        for m in chosen:
            print(m)
        return 0
    os.makedirs(a.build, exist_ok=True)
    build = Build(a.build, a.cflags)
    for test in TESTS:
        if not passes(build, test, [], a.build, a.limit):
            sys.exit(f"{test} fails without any mutant.")
    chosen = [m for m in chosen if build.sources_of(m.file)]
    random.Random(a.seed).shuffle(chosen)
    mutation, counts, rows, open_ones = Mutation(build, a), {}, {}, 0
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for m, (verdict, changed) in zip(chosen, pool.map(mutation.judge, chosen)):
            if verdict == "survived" and m.equivalent():
                verdict = "equivalent"
            open_ones += verdict == "survived"
            word = verdict.split()[0]
            counts[word] = counts.get(word, 0) + 1
            for source in changed:
                rows[os.path.basename(source)] = rows.get(os.path.basename(source), 0) + 1
            print(f"{verdict:20} {','.join(os.path.basename(s)[:-2].replace('kernels_', '') for s in changed):12} {m}", flush=True)
            if verdict == "equivalent":
                print(f"{'':33} {m.equivalent()}", flush=True)
    counted = sum(n for w, n in counts.items() if w in ("killed", "survived", "equivalent"))
    print(f"{counted} mutants change object code: {counts.get('killed', 0)} killed, {counts.get('equivalent', 0)} equivalent, {open_ones} survived; "
          f"{counts.get('same', 0)} change none, {counts.get('does', 0)} do not compile")
    print("tested in " + ", ".join(f"{r}: {n}" for r, n in sorted(rows.items())))
    return 1 if open_ones else 0


if __name__ == "__main__":
    sys.exit(main())
