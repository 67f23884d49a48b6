#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [ARGUMENTS]: runs run.py in a virtual environment of its own: $MXQ_VENV, or venv in the build folder ($MXQ_BUILD).
# It is made once, and brought up to date when requirements.txt changes. Nothing is installed outside of it.
set -eu
here=tests/interop
venv=${MXQ_VENV:-$MXQ_BUILD/venv}
python=$venv/bin/python
if ! cmp -s $here/requirements.txt "$venv/requirements.txt"; then
  echo "Preparing $venv ..."
  "$python" -c '' 2>/dev/null || python3 -m venv --clear "$venv"
  # The large one first, by itself: it decides what the others have to fit.
  "$python" -m pip install -q "$(grep '^torch==' $here/requirements.txt)"
  "$python" -m pip install -q -r $here/requirements.txt
  cp $here/requirements.txt "$venv/requirements.txt"
fi
exec "$python" $here/run.py "$@"
