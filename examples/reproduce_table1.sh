#!/usr/bin/env bash
# All eight rows of the paper's Table 1 from a FashionEdit folder, beside the paper's numbers (docs/reproduce.md).
#
#   examples/reproduce_table1.sh DATA OUT --dry-run     # what it takes; nothing is called, nothing written
#   examples/reproduce_table1.sh DATA OUT               # the same command again continues
#
# Wants a GPU for the SD2 row and $OPENAI_API_KEY for the others. By the environment:
#   EDITOR_SPEC   openai-responses:gpt-4.1-mini    the editor of the Vanilla and BUG rows
#   TABLE1_SD2    sd2.1                            the text-to-image model of the SD2 row; "none" leaves the row out
#   ENCODER       clip                             offline for a trial without CLIP's weights
#   BUDGET        (none)                           USD that are never exceeded
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
data=$1 out=$2 here=$(dirname "$0")
editor=${EDITOR_SPEC:-openai-responses:gpt-4.1-mini}
python=${PYTHON:-python} fashionedit=${FASHIONEDIT:-fashionedit}

"$python" "$here/table1.py" --cost "$data" --editor "$editor"
if [ "${3:-}" = --dry-run ]; then
    exit 0
fi
runs=()
if [ "${TABLE1_SD2:-sd2.1}" != none ]; then
    "$fashionedit" run "$here/table1.py:TextToImage" --data "$data" --split train+validation --rounds 1 \
        --out "$out/sd2" --quiet
    runs+=("$out/sd2")
fi
"$fashionedit" run "$editor" --data "$data" --out "$out/openai" --quiet ${BUDGET:+--budget "$BUDGET"}
runs+=("$out/openai")
for run in "${runs[@]}"; do # apart, since their splits differ
    "$fashionedit" score "$run" --encoder "${ENCODER:-clip}" --no-measures --quiet > /dev/null
done
"$python" "$here/table1.py" "$out" | tee "$out/table1.md"
